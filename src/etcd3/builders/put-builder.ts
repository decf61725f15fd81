import { types } from 'node:util'
import { type CallOptions, checkedOptions } from '../call-options.js'
import type { KeyPrefix } from '../key-prefix.js'
import { toBuffer } from '../range.js'
import type { KVClient } from '../rpc/kv-clients.js'
import type { IKeyValue, IPutRequest, IPutResponse, IRequestOp, IResponseHeader } from '../rpc/kv-messages.js'
import { toHexId } from '../rpc/request.js'
import type { IOperation } from './operation.js'
import { PromiseWrap } from './promise-wrap.js'

/** A write of one key. */
export class PutBuilder extends PromiseWrap<IPutResponse> implements IOperation {
  readonly #kv: KVClient
  readonly #namespace: KeyPrefix
  readonly #request: IPutRequest
  #lease: number | string | Promise<string | number> | undefined
  #callOptions: CallOptions | undefined

  constructor(kv: KVClient, namespace: KeyPrefix, key: string | Buffer) {
    super()
    this.#kv = kv
    this.#namespace = namespace
    this.#request = { key: toBuffer(key) }
  }

  /** What the key shall hold. */
  value(value: string | Buffer | number): this {
    this.#request.value = toBuffer(value, 'value')
    return this
  }

  /** The lease that the key is attached to. */
  lease(lease: number | string | Promise<string | number>): this {
    // A failure is that of the write, which may never be sent.
    if (types.isPromise(lease)) lease.catch(() => {})
    else toHexId('lease', lease)
    this.#lease = lease
    return this
  }

  /** Leaves the key attached to the lease that it has. */
  ignoreLease(): this {
    this.#request.ignore_lease = true
    return this
  }

  /** Sets the options of the call. */
  options(options: CallOptions | undefined): this {
    this.#callOptions = checkedOptions(options)
    return this
  }

  /** Writes, and gives what the key held before; without it, the header alone. */
  async getPrevious(): Promise<IKeyValue & { header: IResponseHeader }> {
    this.#request.prev_kv = true
    const { prev_kv, header } = await this.exec()
    return { ...prev_kv, header }
  }

  /** Gives the key a new revision, and keeps its value. */
  touch(): Promise<IPutResponse> {
    this.#request.value = undefined
    this.#request.ignore_value = true
    return this.exec()
  }

  /** Writes, and gives the answer of the server. Without a lease it is sent at once: calls of one tick are sent in their order. */
  exec(): Promise<IPutResponse> {
    if (this.#lease !== undefined) return this.#resolved().then((request) => this.#kv.put(request, this.#callOptions))
    return this.#kv.put(this.#namespace.addTo(this.#request), this.#callOptions)
  }

  /** The write as a part of a transaction. */
  async op(): Promise<IRequestOp> {
    return { request_put: await this.#resolved() }
  }

  protected createPromise(): Promise<IPutResponse> {
    return this.exec()
  }

  async #resolved(): Promise<IPutRequest> {
    const lease = await this.#lease
    return this.#namespace.addTo(lease === undefined ? this.#request : { ...this.#request, lease })
  }
}
