import { type CallOptions, checkedOptions } from '../call-options.js'
import type { KeyPrefix } from '../key-prefix.js'
import { type Rangable, Range, toBuffer } from '../range.js'
import type { KVClient } from '../rpc/kv-clients.js'
import type { IDeleteRangeRequest, IDeleteRangeResponse, IKeyValue, IRequestOp } from '../rpc/kv-messages.js'
import type { IOperation } from './operation.js'
import { PromiseWrap } from './promise-wrap.js'

/** A deletion of one key or of many. */
export class DeleteBuilder extends PromiseWrap<IDeleteRangeResponse> implements IOperation {
  readonly #kv: KVClient
  readonly #namespace: KeyPrefix
  #request: IDeleteRangeRequest = {}
  #callOptions: CallOptions | undefined

  constructor(kv: KVClient, namespace: KeyPrefix) {
    super()
    this.#kv = kv
    this.#namespace = namespace
  }

  /** Deletes one key. */
  key(value: string | Buffer): this {
    this.#request.key = toBuffer(value)
    this.#request.range_end = undefined
    return this
  }

  /** Deletes the keys that start with `value`. */
  prefix(value: string | Buffer): this {
    return this.range(Range.prefix(value))
  }

  /** Deletes the keys of a range. */
  range(range: Range): this {
    const { start, end } = Range.from(range)
    this.#request.key = start
    this.#request.range_end = end
    return this
  }

  /** Deletes all keys. */
  all(): this {
    return this.prefix('')
  }

  /** Deletes the keys of a range. */
  inRange(range: Rangable): this {
    return this.range(Range.from(range))
  }

  /** Deletes, and gives what there was. In a namespace their keys are whole ones. */
  async getPrevious(): Promise<IKeyValue[]> {
    this.#request.prev_kv = true
    return (await this.exec()).prev_kvs
  }

  /** Sets the options of the call. */
  options(options: CallOptions | undefined): this {
    this.#callOptions = checkedOptions(options)
    return this
  }

  /** Deletes, and gives the answer of the server. */
  exec(): Promise<IDeleteRangeResponse> {
    return this.#kv.deleteRange(this.#namespace.addTo(this.#request), this.#callOptions)
  }

  /** The deletion as a part of a transaction. */
  op(): Promise<IRequestOp> {
    return Promise.resolve({ request_delete_range: this.#namespace.addTo(this.#request) })
  }

  protected createPromise(): Promise<IDeleteRangeResponse> {
    return this.exec()
  }
}
