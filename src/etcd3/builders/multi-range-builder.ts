import type { KeyPrefix } from '../key-prefix.js'
import { type Rangable, Range } from '../range.js'
import { SortOrder, SortTarget } from '../rpc/enums.js'
import type { KVClient } from '../rpc/kv-clients.js'
import type { IRangeRequest, IRangeResponse } from '../rpc/kv-messages.js'
import { toInteger } from '../rpc/request.js'
import { checkEncoding } from '../validate.js'
import { assertWithin } from './operation.js'
import { RangeBuilder } from './range-builder.js'

/** A read of many keys, by default of all. Awaited, it is an object of the values as text, by key. */
export class MultiRangeBuilder extends RangeBuilder<{ [key: string]: string }> {
  readonly #kv: KVClient

  constructor(kv: KVClient, namespace: KeyPrefix) {
    super(namespace)
    this.#kv = kv
    this.all()
  }

  /** Reads the keys that start with `value`. */
  prefix(value: string | Buffer): this {
    return this.inRange(Range.prefix(value))
  }

  /** Reads the keys of a range. */
  inRange(range: Rangable): this {
    const { start, end } = Range.from(range)
    this.request.key = start
    this.request.range_end = end
    return this
  }

  /** Reads all keys. */
  all(): this {
    return this.prefix('')
  }

  /** Limits the number of keys. */
  limit(count: number): this {
    this.request.limit = count === Number.POSITIVE_INFINITY ? 0 : toInteger('limit', count)
    return this
  }

  /** Sorts the keys. */
  sort(target: keyof typeof SortTarget, order: keyof typeof SortOrder): this {
    assertWithin(SortTarget, target, 'sort order in client.get().sort(...)')
    assertWithin(SortOrder, order, 'sort order in client.get().sort(...)')
    this.request.sort_target = SortTarget[target]
    this.request.sort_order = SortOrder[order]
    return this
  }

  /** How many keys there are. */
  async count(): Promise<number> {
    const { count } = await this.#send({ count_only: true })
    return Number(count)
  }

  /** The keys as text. */
  async keys(encoding: BufferEncoding = 'utf8'): Promise<string[]> {
    checkEncoding(encoding)
    return (await this.keyBuffers()).map((key) => key.toString(encoding))
  }

  /** The keys. */
  async keyBuffers(): Promise<Buffer[]> {
    const { kvs } = await this.#send({ keys_only: true })
    return kvs.map(({ key }) => key)
  }

  /** The values by key, parsed as JSON. */
  json(): Promise<{ [key: string]: unknown }> {
    return this.#values((value) => JSON.parse(value.toString()) as unknown)
  }

  /** The values by key, as text. */
  async strings(encoding: BufferEncoding = 'utf8'): Promise<{ [key: string]: string }> {
    checkEncoding(encoding)
    return this.#values((value) => value.toString(encoding))
  }

  /** The values by key, as numbers. */
  numbers(): Promise<{ [key: string]: number }> {
    return this.#values((value) => Number(value.toString()))
  }

  /** The values by key. */
  buffers(): Promise<{ [key: string]: Buffer }> {
    return this.#values((value) => value)
  }

  /** The answer of the server, with the keys as they are in the namespace. */
  exec(): Promise<IRangeResponse> {
    return this.#send({})
  }

  protected createPromise(): Promise<{ [key: string]: string }> {
    return this.strings()
  }

  async #send(more: IRangeRequest): Promise<IRangeResponse> {
    const answer = await this.#kv.range({ ...this.namespace.addTo(this.request), ...more }, this.callOptions)
    for (const kv of answer.kvs) kv.key = this.namespace.remove(kv.key)
    return answer
  }

  async #values<T>(decode: (value: Buffer) => T): Promise<{ [key: string]: T }> {
    const { kvs } = await this.exec()
    return Object.fromEntries(kvs.map(({ key, value }) => [key.toString(), decode(value)]))
  }
}
