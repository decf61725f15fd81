import { assertFunction, describe, nonNegativeInteger } from '../core/validate.js'
import type { Isolation as EngineIsolation, StmTransaction } from '../index.js'
import { DeleteBuilder } from './builders/delete-builder.js'
import { PutBuilder } from './builders/put-builder.js'
import { SingleRangeBuilder } from './builders/single-range-builder.js'
import { type CallOptions, toEngineOptions } from './call-options.js'
import { castError } from './cast-error.js'
import type { ConnectionPool } from './connection-pool.js'
import { ClientRuntimeError, STMConflictError } from './errors.js'
import type { KeyPrefix } from './key-prefix.js'
import { toBuffer } from './range.js'
import { Isolation } from './rpc/enums.js'
import { KVClient } from './rpc/kv-clients.js'
import { TransactionCalls } from './transaction-calls.js'

/** Options of `stm()`. */
export interface ISTMOptions {
  /** How often to try again when other writers come first. @default 3 */
  retries: number
  /** Keys that are read in one round trip before the function runs. */
  prefetch: string[]
  /** @default Isolation.SerializableSnapshot */
  isolation: Isolation
  /** The deadline bounds all attempts together. */
  callOptions?: CallOptions | undefined
}

const isolations: Readonly<Record<number, EngineIsolation>> = {
  [Isolation.SerializableSnapshot]: 'serializableSnapshot',
  [Isolation.Serializable]: 'serializable',
  [Isolation.RepeatableReads]: 'repeatableReads',
  [Isolation.ReadCommitted]: 'readCommitted',
}

/**
 * The levels at which a function that only reads is run again, too, when what it has read has changed meanwhile: the engine
 * takes a consistent snapshot for good.
 */
const comparesReads: ReadonlySet<Isolation> = new Set([Isolation.SerializableSnapshot, Isolation.Serializable])

/** Runs functions whose reads and writes are committed together. */
export class SoftwareTransaction {
  readonly #options: ISTMOptions
  readonly #namespace: KeyPrefix
  readonly #pool: ConnectionPool
  #running: TransactionCalls | undefined

  constructor(options: ISTMOptions, namespace: KeyPrefix, pool: ConnectionPool) {
    this.#options = options
    this.#namespace = namespace
    this.#pool = pool
  }

  /** Runs `fn` until what it has read and written can be committed; it must do no harm when it is run several times. */
  async transact<T>(fn: (tx: this) => T | PromiseLike<T>): Promise<T> {
    if (this.#pool.isMocked) throw new ClientRuntimeError('a mocked client has no software transactions')
    assertFunction('fn', fn)
    const { isolation, retries, prefetch, callOptions } = this.#options
    nonNegativeInteger('retries', retries)
    const engineIsolation = isolations[isolation]
    if (engineIsolation === undefined) throw new Error(`Unknown isolation level ${describe(isolation)}`)
    const bounds = toEngineOptions(callOptions)
    const keys = prefetch.map((key) => this.#namespace.add(toBuffer(key, 'prefetch')))
    try {
      for (let left = retries + 1; left > 0; ) {
        const options = { ...bounds, isolation: engineIsolation, maxAttempts: left, prefetch: keys }
        const { value, changed, attempts } = await this.#pool.engine.stm((tx) => this.#runIn(tx, fn), options)
        if (changed || !comparesReads.has(isolation) || (await this.#calls.isUnchanged(bounds))) return value
        left -= attempts
      }
    } catch (error) {
      throw castError(error, { service: 'KV' })
    } finally {
      this.#running = undefined
    }
    throw new STMConflictError()
  }

  /** A read of one key. */
  get(key: string | Buffer): SingleRangeBuilder {
    return new SingleRangeBuilder(this.#kv, this.#namespace, key)
  }

  /** A write of one key. */
  put(key: string | Buffer): PutBuilder {
    return new PutBuilder(this.#kv, this.#namespace, key)
  }

  /** A deletion of keys. */
  delete(): DeleteBuilder {
    return new DeleteBuilder(this.#kv, this.#namespace)
  }

  async #runIn<T>(tx: StmTransaction, fn: (tx: this) => T | PromiseLike<T>): Promise<T> {
    const calls = new TransactionCalls(tx, this.#pool.engine)
    this.#running = calls
    const value = await fn(this)
    if (this.#options.isolation === Isolation.SerializableSnapshot) calls.assertNoRangeAfterRead()
    return value
  }

  get #calls(): TransactionCalls {
    if (this.#running !== undefined) return this.#running
    throw new ClientRuntimeError('the transaction does not run: use it within transact()')
  }

  get #kv(): KVClient {
    return new KVClient(this.#calls)
  }
}
