import { assertOptions } from '../core/validate.js'
import { ComparatorBuilder, type comparator, type compareTarget } from './builders/comparator-builder.js'
import { DeleteBuilder } from './builders/delete-builder.js'
import { MultiRangeBuilder } from './builders/multi-range-builder.js'
import { PutBuilder } from './builders/put-builder.js'
import { SingleRangeBuilder } from './builders/single-range-builder.js'
import type { ConnectionPool } from './connection-pool.js'
import { Election } from './election.js'
import { KeyPrefix } from './key-prefix.js'
import { type ILeaseOptions, Lease } from './lease.js'
import { Lock } from './lock.js'
import type { IOptions } from './options.js'
import { type Rangable, Range, toBuffer } from './range.js'
import { Isolation } from './rpc/enums.js'
import { KVClient, LeaseClient, WatchClient } from './rpc/kv-clients.js'
import { type ISTMOptions, SoftwareTransaction } from './stm.js'
import { WatchBuilder } from './watch.js'

/** The keys that start with a prefix, which is added to every key on the way in. */
export class Namespace {
  readonly #keyPrefix: KeyPrefix
  protected readonly pool: ConnectionPool
  protected readonly options: IOptions
  readonly prefix: Buffer
  /** Keys and values, with the messages of etcd and whole keys. */
  readonly kv: KVClient
  /** Leases, with the messages of etcd. */
  readonly leaseClient: LeaseClient
  /** Watches, with the messages of etcd and whole keys. */
  readonly watchClient: WatchClient

  protected constructor(prefix: Buffer, pool: ConnectionPool, options: IOptions) {
    this.#keyPrefix = new KeyPrefix(prefix)
    this.prefix = prefix
    this.pool = pool
    this.options = options
    this.kv = new KVClient(pool)
    this.leaseClient = new LeaseClient(pool)
    this.watchClient = new WatchClient(pool)
  }

  /** A read of one key. */
  get(key: string | Buffer): SingleRangeBuilder {
    return new SingleRangeBuilder(this.kv, this.#keyPrefix, key)
  }

  /** A read of many keys. */
  getAll(): MultiRangeBuilder {
    return new MultiRangeBuilder(this.kv, this.#keyPrefix)
  }

  /** A write of one key. */
  put(key: string | Buffer): PutBuilder {
    return new PutBuilder(this.kv, this.#keyPrefix, key)
  }

  /** A deletion of keys. */
  delete(): DeleteBuilder {
    return new DeleteBuilder(this.kv, this.#keyPrefix)
  }

  /** Grants a lease of `ttl` seconds, and keeps it alive. */
  lease(ttl: number, options?: ILeaseOptions): Lease {
    return new Lease(this.pool, this.#keyPrefix, ttl, options)
  }

  /** A lock on a key. */
  lock(key: string | Buffer): Lock {
    return new Lock(this.pool, this.#keyPrefix, key)
  }

  /** A software transaction. */
  stm(options?: Partial<ISTMOptions>): SoftwareTransaction {
    if (options !== undefined) assertOptions('stm()', options)
    const defaults = { isolation: Isolation.SerializableSnapshot, prefetch: [], retries: 3 }
    return new SoftwareTransaction({ ...defaults, ...options }, this.#keyPrefix, this.pool)
  }

  /** A transaction, by its first comparison. */
  if(
    key: string | Buffer,
    column: keyof typeof compareTarget,
    cmp: keyof typeof comparator,
    value: string | Buffer | number,
  ): ComparatorBuilder {
    return new ComparatorBuilder(this.kv, this.#keyPrefix).and(key, column, cmp, value)
  }

  /** A watch. */
  watch(): WatchBuilder {
    return new WatchBuilder(this.pool, this.#keyPrefix)
  }

  /** A range of whatever can be made one. */
  range(range: Rangable): Range {
    return Range.from(range)
  }

  /** The keys within this namespace that start with `prefix`. */
  namespace(prefix: string | Buffer): Namespace {
    return new Namespace(Buffer.concat([this.prefix, toBuffer(prefix, 'prefix')]), this.pool, this.options)
  }

  /** An election, whose candidates have leases of `ttl` seconds. */
  election(name: string, ttl?: number): Election {
    return new Election(this, name, ttl)
  }
}
