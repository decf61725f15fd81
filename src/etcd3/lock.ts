import { assertFunction } from '../core/validate.js'
import { ComparatorBuilder } from './builders/comparator-builder.js'
import { PutBuilder } from './builders/put-builder.js'
import { type CallOptions, checkedOptions } from './call-options.js'
import type { ConnectionPool } from './connection-pool.js'
import { EtcdLockFailedError } from './errors.js'
import type { KeyPrefix } from './key-prefix.js'
import { Lease } from './lease.js'
import { toBuffer } from './range.js'
import { KVClient } from './rpc/kv-clients.js'
import { leaseTtl } from './validate.js'

const defaultTtlSeconds = 30

/** A lock that is free or not: to acquire one that is held fails at once. Its key is the one of etcd3. */
export class Lock {
  readonly #pool: ConnectionPool
  readonly #namespace: KeyPrefix
  readonly #key: string | Buffer
  #ttlSeconds = defaultTtlSeconds
  #lease: Lease | undefined
  #lostError: Error | undefined
  #callOptions: CallOptions | undefined

  constructor(pool: ConnectionPool, namespace: KeyPrefix, key: string | Buffer) {
    this.#pool = pool
    this.#namespace = namespace
    toBuffer(key)
    this.#key = key
  }

  /** How long the lock is held, in seconds, when its holder is gone. @default 30 */
  ttl(seconds: number): this {
    if (this.#lease !== undefined) throw new Error('Cannot set a lock TTL after acquiring the lock')
    this.#ttlSeconds = leaseTtl(seconds)
    return this
  }

  /** Sets the options of the calls. */
  options(options: CallOptions): this {
    this.#callOptions = checkedOptions(options)
    return this
  }

  /** Acquires it. Rejects with an `EtcdLockFailedError` if it is held. Whatever it rejects with, nothing is left behind. */
  async acquire(): Promise<this> {
    const before = this.#lease
    const lease = new Lease(this.#pool, this.#namespace, this.#ttlSeconds, this.#callOptions)
    this.#lease = lease
    this.#lostError = undefined
    lease.on('lost', (error) => {
      this.#lostError = error
    })
    try {
      if (await this.#create(lease, await lease.grant())) return this
      await lease.revoke(this.#callOptions).catch(() => {})
      throw new EtcdLockFailedError(`Failed to acquire a lock on ${this.#key}`)
    } catch (error) {
      // A lock that is held already stays the one that is released.
      if (before?.revoked() === false) this.#lease = before
      throw error
    }
  }

  /** The ID of its lease, in decimal digits; `null` before it is acquired. */
  leaseId(): Promise<string | null> {
    return this.#lease?.grant() ?? Promise.resolve(null)
  }

  /** Releases it. */
  release(): Promise<void> {
    if (this.#lease === undefined) throw new Error('Attempted to release a lock which was not acquired')
    return this.#lease.revoke(this.#callOptions)
  }

  /**
   * Runs a function while the lock is held. Rejects with an `EtcdLeaseInvalidError` if the lock was lost meanwhile, at which
   * the signal that the function is given aborts.
   */
  async do<T>(fn: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
    assertFunction('fn', fn)
    await this.acquire()
    const abort = new AbortController()
    this.#lease?.on('lost', (error) => abort.abort(error))
    if (this.#lostError !== undefined) abort.abort(this.#lostError)
    try {
      const value = await fn(abort.signal)
      if (this.#lostError !== undefined) throw this.#lostError
      return value
    } finally {
      await this.release()
    }
  }

  async #create(lease: Lease, id: string): Promise<boolean> {
    const kv = new KVClient(this.#pool)
    try {
      const { succeeded } = await new ComparatorBuilder(kv, this.#namespace)
        .and(this.#key, 'Create', '==', 0)
        .then(new PutBuilder(kv, this.#namespace, this.#key).value('').lease(id))
        .options(this.#callOptions)
        .commit()
      return succeeded
    } catch (error) {
      // The key may be there. Its lease ends it, also if the signal or the deadline of the caller ended the transaction.
      lease.revoke({}).catch(() => {})
      throw error
    }
  }
}
