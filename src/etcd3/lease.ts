import { EventEmitter } from 'node:events'
import { isError } from '../core/thrown.js'
import { assertOptions } from '../core/validate.js'
import { type Lease as EngineLease, isEtcdError } from '../index.js'
import { PutBuilder } from './builders/put-builder.js'
import type { CallOptions } from './call-options.js'
import { castError } from './cast-error.js'
import type { ConnectionPool } from './connection-pool.js'
import { type EtcdError, EtcdLeaseInvalidError } from './errors.js'
import { followRenewals } from './keep-alives.js'
import type { KeyPrefix } from './key-prefix.js'
import type { CallContext } from './rpc/call-context.js'
import { LeaseState } from './rpc/enums.js'
import { KVClient } from './rpc/kv-clients.js'
import type { ILeaseGrantResponse, ILeaseKeepAliveResponse } from './rpc/kv-messages.js'
import { toHexId } from './rpc/request.js'
import { fromHexId } from './rpc/response.js'
import { leaseTtl } from './validate.js'

/** Options of `lease()`. The call options apply to the grant, and without the deadline to later calls. */
export interface ILeaseOptions extends CallOptions {
  /** Renews the lease until it is revoked or released. @default true */
  autoKeepAlive?: boolean | undefined
}

/** What the events of a lease come with. */
interface LeaseEventMap {
  lost: [err: EtcdError]
  keepaliveFired: []
  keepaliveSucceeded: [res: ILeaseKeepAliveResponse]
  keepaliveFailed: [err: Error]
  keepaliveEstablished: []
}

/** A lease. It is granted at once; all leases of a client are renewed by one stream. */
export class Lease extends EventEmitter {
  readonly #pool: ConnectionPool
  readonly #namespace: KeyPrefix
  readonly #ttl: number
  readonly #defaultOptions: CallOptions
  readonly #id: Promise<string | Error>
  #state: LeaseState = LeaseState.Pending
  #lostError: Error | undefined
  #stop = (): void => {}

  constructor(pool: ConnectionPool, namespace: KeyPrefix, ttl: number, options: ILeaseOptions = {}) {
    super()
    const seconds = leaseTtl(ttl)
    assertOptions('lease()', options)
    const { autoKeepAlive = true, ...callOptions } = options
    const { deadline: _, ...defaults } = callOptions
    this.#pool = pool
    this.#namespace = namespace
    this.#ttl = Math.trunc(seconds)
    this.#defaultOptions = defaults
    this.#id = this.#grant(callOptions, autoKeepAlive).catch((error: unknown) => this.#lose(error))
  }

  /** Where it stands; a released lease counts as revoked. */
  get state(): LeaseState {
    return this.#state
  }

  /** The ID of the lease, in decimal digits. */
  async grant(): Promise<string> {
    const id = await this.#id
    if (isError(id)) throw id
    return id
  }

  /** Ends it, and deletes its keys. */
  async revoke(options: CallOptions | undefined = this.#defaultOptions): Promise<void> {
    this.#close()
    const id = await this.#id
    if (isError(id)) return
    try {
      await this.#pool.exec('Lease', 'leaseRevoke', { ID: id }, options)
    } catch (error) {
      if (!(error instanceof EtcdLeaseInvalidError)) throw error
    }
  }

  /** Stops renewing it: its keys are there until its time is over. */
  release(): void {
    this.#close()
  }

  /** Writes a key that is attached to it. */
  put(key: string | Buffer): PutBuilder {
    const { callOptionsFactory } = this.#pool
    const kv = new KVClient({
      exec: (...call) => this.#watched(() => this.#pool.exec(...call)),
      withConnection: (...args) => this.#pool.withConnection(...args) as never,
      markFailed: () => {},
      callOptionsFactory,
    })
    return new PutBuilder(kv, this.#namespace, key).lease(this.grant())
  }

  /** Renews it once. */
  async keepaliveOnce(options: CallOptions | undefined = this.#defaultOptions): Promise<ILeaseKeepAliveResponse> {
    const id = await this.grant()
    if (this.#lostError !== undefined) throw this.#lostError
    const context = { service: 'Lease', method: 'leaseKeepAlive', isStream: true, params: { ID: id } } as CallContext
    const { lease } = this.#pool.engine
    const ttlSeconds = await this.#watched(() =>
      this.#pool.run(context, options, (bounds) => lease.keepAliveOnce(toHexId('ID', id), bounds)),
    )
    return this.#answer(id, ttlSeconds)
  }

  /** Whether it is lost, revoked or released. */
  revoked(): boolean {
    return this.#state === LeaseState.Revoked
  }

  override on<Name extends keyof LeaseEventMap>(event: Name, handler: (...args: LeaseEventMap[Name]) => void): this
  override on(event: string | symbol, handler: Listener): this
  override on(event: string | symbol, handler: Listener): this {
    return super.on(event, handler)
  }

  async #grant(options: CallOptions, keepAlive: boolean): Promise<string> {
    const params = { TTL: this.#ttl }
    if (this.#pool.isMocked) {
      const { ID } = await this.#pool.exec<ILeaseGrantResponse>('Lease', 'leaseGrant', params, options)
      this.#granted()
      return ID
    }
    const context = { service: 'Lease', method: 'leaseGrant', isStream: false, params } as const
    const { lease } = this.#pool.engine
    const granted = await this.#pool.run(context, options, (bounds) => lease.grant(this.#ttl, { ...bounds, keepAlive }))
    if (this.#granted() && keepAlive) this.#follow(granted)
    else granted.close()
    return fromHexId(granted.id, true)
  }

  #granted(): boolean {
    if (this.#state !== LeaseState.Pending) return false
    this.#state = LeaseState.Alive
    return true
  }

  /** Emits the events of the engine's lease. */
  #follow(lease: EngineLease): void {
    const id = fromHexId(lease.id, true)
    const letGo = this.#pool.hold()
    const leave = followRenewals(this.#pool.engine, lease.id, {
      renewed: (ttlSeconds) => {
        this.emit('keepaliveFired')
        this.emit('keepaliveSucceeded', this.#answer(id, ttlSeconds))
      },
      interrupted: (error) => this.emit('keepaliveFailed', castError(error, { service: 'Lease' })),
      resumed: () => this.emit('keepaliveEstablished'),
    })
    const onLost = (): void => {
      const reason: unknown = lease.signal.reason
      // The client was closed, by its user.
      if (isEtcdError(reason, 'LEASE_LOST') && reason.reason === 'closed') this.#close()
      else this.#lose(castError(reason, { service: 'Lease', leaseId: id }))
    }
    lease.signal.addEventListener('abort', onLost, { once: true })
    this.#stop = () => {
      lease.signal.removeEventListener('abort', onLost)
      lease.close()
      leave()
      letGo()
    }
    // The policy of the caller may have taken its time.
    if (lease.signal.aborted) onLost()
    setImmediate(() => {
      if (this.#state === LeaseState.Alive) this.emit('keepaliveEstablished')
    })
  }

  /** Runs a call that shows whether the lease is still there. */
  async #watched<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw error instanceof EtcdLeaseInvalidError ? this.#lose(error) : error
    }
  }

  /** The lease is gone. All callers get the first error. */
  #lose(reason: unknown): Error {
    if (this.#lostError !== undefined) return this.#lostError
    const error = isError(reason) ? reason : new EtcdLeaseInvalidError(String(reason))
    this.#lostError = error
    this.#close()
    this.emit('lost', error)
    return error
  }

  #close(): void {
    this.#state = LeaseState.Revoked
    this.#stop()
    this.#stop = () => {}
  }

  #answer(id: string, ttlSeconds: number): ILeaseKeepAliveResponse {
    return { header: this.#pool.header(this.#pool.engine.stats().revision), ID: id, TTL: String(ttlSeconds) }
  }
}

type Listener = Parameters<EventEmitter['on']>[1]
