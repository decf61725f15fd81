import { assertWithin } from './builders/operation.js'
import type { ConnectionPool } from './connection-pool.js'
import type { KeyPrefix } from './key-prefix.js'
import { type Rangable, Range, toBuffer } from './range.js'
import { FilterType } from './rpc/enums.js'
import type { IWatchCreateRequest } from './rpc/kv-messages.js'
import { toInteger } from './rpc/request.js'
import { Watcher } from './watcher.js'

const filterOf = { put: FilterType.Nodelete, delete: FilterType.Noput } as const

type OperationName = keyof typeof filterOf

/** What is to be watched. */
export class WatchBuilder {
  readonly #pool: ConnectionPool
  readonly #namespace: KeyPrefix
  readonly #request: IWatchCreateRequest = { progress_notify: true }

  constructor(pool: ConnectionPool, namespace: KeyPrefix) {
    this.#pool = pool
    this.#namespace = namespace
  }

  /** Watches one key. */
  key(key: string | Buffer): this {
    this.#request.key = toBuffer(key)
    return this
  }

  /** Watches the keys that start with `value`. */
  prefix(value: string | Buffer): this {
    return this.inRange(Range.prefix(value))
  }

  /** Watches the keys of a range. */
  inRange(range: Rangable): this {
    const { start, end } = Range.from(range)
    this.#request.key = start
    this.#request.range_end = end
    return this
  }

  /** The same as `only()`, as in etcd3. @deprecated */
  ignore(...operations: OperationName[]): this {
    return this.only(...operations)
  }

  /** Watches these operations alone. */
  only(...operations: OperationName[]): this {
    for (const operation of operations) assertWithin(filterOf, operation, 'operation of a watch')
    this.#request.filters = operations.map((operation) => filterOf[operation])
    return this
  }

  /** Events come with the key as it was before. */
  withPreviousKV(): this {
    this.#request.prev_kv = true
    return this
  }

  /** The first revision to report. */
  startRevision(revision: string): this {
    this.#request.start_revision = toInteger('revision', revision)
    return this
  }

  /** Begins to watch. */
  watcher(): Watcher {
    return new Watcher(this.#pool, this.#namespace, this.#namespace.addTo({ ...this.#request }))
  }

  /** Begins to watch, and resolves when a member has confirmed it. */
  create(): Promise<Watcher> {
    return this.watcher().whenConnected()
  }
}
