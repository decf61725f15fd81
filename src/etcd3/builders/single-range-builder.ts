import type { KeyPrefix } from '../key-prefix.js'
import { toBuffer } from '../range.js'
import type { KVClient } from '../rpc/kv-clients.js'
import type { IRangeResponse } from '../rpc/kv-messages.js'
import { checkEncoding } from '../validate.js'
import { RangeBuilder } from './range-builder.js'

/** A read of one key. Awaited, it is the value as text, or `null` if there is no such key. */
export class SingleRangeBuilder extends RangeBuilder<string | null> {
  readonly #kv: KVClient

  constructor(kv: KVClient, namespace: KeyPrefix, key: string | Buffer) {
    super(namespace)
    this.#kv = kv
    this.request.key = toBuffer(key)
    this.request.limit = 1
  }

  /** The value, parsed as JSON. */
  async json(): Promise<unknown> {
    const text = await this.string()
    return text === null ? null : JSON.parse(text)
  }

  /** The value as text. */
  async string(encoding: BufferEncoding = 'utf8'): Promise<string | null> {
    checkEncoding(encoding)
    return (await this.buffer())?.toString(encoding) ?? null
  }

  /** The value as a number. */
  async number(): Promise<number | null> {
    const text = await this.string()
    return text === null ? null : Number(text)
  }

  /** The value. */
  async buffer(): Promise<Buffer | null> {
    const { kvs } = await this.exec()
    return kvs[0]?.value ?? null
  }

  /** Whether there is such a key. */
  async exists(): Promise<boolean> {
    const { count } = await this.#send({ keys_only: true })
    return count !== '0'
  }

  /** The answer of the server. In a namespace its key is the whole one. */
  exec(): Promise<IRangeResponse> {
    return this.#send({})
  }

  protected createPromise(): Promise<string | null> {
    return this.string()
  }

  #send(more: { readonly keys_only?: boolean }): Promise<IRangeResponse> {
    return this.#kv.range({ ...this.namespace.addTo(this.request), ...more }, this.callOptions)
  }
}
