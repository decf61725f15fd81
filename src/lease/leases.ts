import { randomBytes } from 'node:crypto'
import { EtcdError, InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { hexId, optionalBoolean, positiveInteger } from '../core/validate.js'
import { type Obstacle, timeLeft } from '../core/wait.js'
import { Waiter } from '../core/waiter.js'
import type { LeaseTimeToLiveResponse } from '../protobuf/generated/messages.js'
import { formatId, highWord, lowWord } from '../protobuf/id.js'
import { type Method, methods } from '../protobuf/methods.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import { closedError } from '../transport/connection/connection-manager.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import type { GrantedLease } from './granted-lease.js'
import { KeepAliveOnce, type KeepAliveResult } from './keep-alive-once.js'
import type { KeepAliveScheduler } from './keep-alive-scheduler.js'
import { Lease } from './lease.js'
import type { LeaseLostError } from './lease-lost-error.js'
import { LeasePool } from './lease-pool.js'
import { LeaseRecord } from './lease-record.js'
import { closingMs, settledSoon } from './lease-timeouts.js'
import type { PooledLease } from './pooled-lease.js'
import type { RegistrationKv } from './registered-key.js'
import { type RegisterOptions, Registration, type RegistrationHost } from './registration.js'
import type { Session } from './session.js'
import { SessionPool } from './session-pool.js'

/** Options of `grant()`. */
export interface GrantOptions extends CallOptions {
  /** The ID of the lease, 1 to 16 hexadecimal digits. @default a random one */
  readonly id?: string | undefined
  /** Renews the lease until it is revoked or closed. @default true */
  readonly keepAlive?: boolean | undefined
}

/** Options of `timeToLive()`. */
export interface TimeToLiveOptions extends CallOptions {
  /** Also returns the keys of the lease; the user needs permission to read all of them. @default false */
  readonly keys?: boolean | undefined
}

/** The state of a lease in the cluster. */
export interface LeaseStatus {
  readonly id: string
  /** The granted TTL, in seconds. */
  readonly ttlSeconds: number
  /** The remaining time without another renewal, in whole seconds. */
  readonly remainingSeconds: number
  /** Its keys, with the prefix of any namespace; `undefined` unless requested by `keys: true`. */
  readonly keys: readonly Buffer[] | undefined
}

/** What leases need from the client. */
export interface LeasesHost {
  readonly transport: Transport
  readonly keepAlives: KeepAliveScheduler
  readonly onLost: (error: LeaseLostError) => void
  /** A revocation has ended, at `revision`, or without one if it may have been applied. Its keys are gone. */
  readonly onRevoked: (revision: number | undefined) => void
  readonly events: RegistrationHost['events']
  /** Default time limit of calls, in milliseconds. */
  readonly timeoutMs: number
  readonly obstacle: Obstacle
}

const defaultRegistrationSeconds = 15
const grantOptions = [...callOptionNames, 'id', 'keepAlive']

/**
 * Grants, renews and revokes leases: `etcd.lease`. A key that is attached to a lease is deleted when the lease expires or is
 * revoked. See [etcd's lease API](https://etcd.io/docs/latest/learning/api/#lease-api).
 */
export class Leases {
  readonly #host: LeasesHost
  readonly #pool: LeasePool
  readonly #sessions: SessionPool
  readonly #registrations = new Set<Registration>()
  #isClosed = false

  constructor(host: LeasesHost) {
    this.#host = host
    this.#pool = new LeasePool(
      (ttlSeconds) => this.#grantOnly(ttlSeconds, {}),
      (id, ttlSeconds) => this.#renewOnce(id, {}, ttlSeconds),
      host.obstacle,
    )
    this.#sessions = new SessionPool((ttlSeconds) => this.grant(ttlSeconds), host.obstacle)
  }

  /**
   * Grants a lease and keeps it alive until it is revoked or closed. All leases of a client are renewed by one stream.
   *
   * @param ttlSeconds The time to live without a renewal. The server raises it to its minimum, 2 s by default: use the
   * `ttlSeconds` of the returned lease.
   * @param options Options of the call, and `id` and `keepAlive`.
   * @throws `LEASE_EXISTS` if the chosen `id` is in use; with effect `unknown` if an earlier attempt of this call may have
   * granted the lease. `LEASE_TTL_TOO_LARGE` above 9,000,000,000 s.
   * @example
   * await using lease = await etcd.lease.grant(10)
   * await etcd.put('presence/ann', 'online', { lease: lease.id })
   */
  async grant(ttlSeconds: number, options: GrantOptions = {}): Promise<Lease> {
    checkCall('grant()', options, grantOptions)
    const isKeptAlive = optionalBoolean('keepAlive', options.keepAlive) ?? true
    const granted = await this.#grantOnly(ttlSeconds, options)
    const { keepAlives, onLost } = this.#host
    const record = new LeaseRecord({ ...granted, isKeptAlive, onLost })
    keepAlives.add(record)
    return new Lease(record, { keepAlives, revoke: (id, callOptions) => this.revoke(id, callOptions) })
  }

  /**
   * Revokes a lease and deletes its keys.
   *
   * @param id The ID of the lease, in hexadecimal.
   * @throws `LEASE_NOT_FOUND` if the lease does not exist.
   */
  async revoke(id: string, options?: CallOptions): Promise<void> {
    checkCall('revoke()', options)
    const ID = toLeaseId('id', id)
    const context = callContext(options, { repeatable: true, requiresFloor: true, proposal: true })
    let revision: number | undefined
    let missing: EtcdError | undefined
    try {
      const { header } = await this.#host.transport.unary(methods.Lease.LeaseRevoke, { ID }, context)
      revision = header?.revision
    } catch (error) {
      if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
      missing = error
    } finally {
      this.#host.onRevoked(revision)
    }
    this.#host.keepAlives.revoked(ID)
    // An earlier attempt, whose response was lost, may have revoked it.
    if (missing !== undefined && !context.progress.mayBeApplied) throw missing
  }

  /**
   * Reads the state of a lease.
   *
   * @param id The ID of the lease, in hexadecimal.
   * @returns The state; `undefined` if the lease does not exist.
   */
  async timeToLive(id: string, options: TimeToLiveOptions = {}): Promise<LeaseStatus | undefined> {
    checkCall('timeToLive()', options, [...callOptionNames, 'keys'])
    const keys = optionalBoolean('keys', options.keys) ?? false
    const ID = toLeaseId('id', id)
    const answer = await this.#timeToLive(ID, keys, options)
    // The server returns -1 for a missing lease, and 0 in the last second of a lease.
    if (answer.TTL < 0) return undefined
    return { id: ID, ttlSeconds: answer.grantedTTL, remainingSeconds: answer.TTL, keys: keys ? answer.keys : undefined }
  }

  /** Lists the IDs of all leases in the cluster. With authentication, the user needs permission to read all their keys. */
  async list(options?: CallOptions): Promise<string[]> {
    checkCall('list()', options)
    const { leases } = await this.#read(methods.Lease.LeaseLeases, {}, options)
    return leases.flatMap(({ ID }) => (ID === undefined ? [] : [ID]))
  }

  /**
   * Renews a lease once.
   *
   * @param id The ID of the lease, in hexadecimal.
   * @returns The TTL, in seconds, that the lease has now.
   * @throws `LEASE_NOT_FOUND` if the lease does not exist.
   */
  async keepAliveOnce(id: string, options: CallOptions = {}): Promise<number> {
    checkCall('keepAliveOnce()', options)
    const ID = toLeaseId('id', id)
    return (await this.#renewOnce(ID, options)).ttlSeconds
  }

  /**
   * Returns a session: a share in a lease that this client keeps alive for all sessions with the same `ttlSeconds`. Use it
   * to attach many keys to the life of this process without a lease for each.
   *
   * @param ttlSeconds How long the keys stay after this process has failed.
   * @example
   * await using session = await etcd.lease.shared(10)
   * for (const shard of shards) await etcd.put(`owners/${shard}`, host, { lease: session.id })
   */
  async shared(ttlSeconds: number, options: CallOptions = {}): Promise<Session> {
    checkCall('shared()', options)
    return this.#sessions.acquire(positiveInteger('ttlSeconds', ttlSeconds), options)
  }

  /** @internal Registers a key of `kv`. */
  async register(
    kv: RegistrationKv,
    pair: readonly [Bytes, Bytes],
    { ttlSeconds = defaultRegistrationSeconds, ...options }: RegisterOptions,
  ): Promise<Registration> {
    const { events, timeoutMs, keepAlives } = this.#host
    const host: RegistrationHost = {
      events,
      timeoutMs,
      grant: (seconds, callOptions) => this.grant(seconds, callOptions),
      revoked: (id) => keepAlives.revoked(id),
      onClosed: (closed) => this.#registrations.delete(closed),
    }
    const registration = new Registration(host, kv, pair, positiveInteger('ttlSeconds', ttlSeconds))
    // Before it is established, so that `close()` ends it in any case.
    this.#registrations.add(registration)
    try {
      await registration.establish(options)
      return registration
    } catch (error) {
      this.#registrations.delete(registration)
      throw error
    }
  }

  /** @internal Time limit of calls without one, in milliseconds. */
  get timeoutMs(): number {
    return this.#host.timeoutMs
  }

  /** @internal The lease that `put()` with `ttlSeconds` attaches its key to. */
  async take(ttlSeconds: number, options: CallOptions): Promise<PooledLease> {
    return this.#pool.take(positiveInteger('ttlSeconds', ttlSeconds), options)
  }

  /**
   * @internal Stops all renewals. The leases of registrations and sessions are revoked, also those that are being granted, so
   * that their keys are deleted at once; the other leases expire.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    const registrations = [...this.#registrations].map((each) => settledSoon(each.close({ timeoutMs: closingMs })))
    const revoked = Promise.all([this.#sessions.close(), ...registrations])
    this.#host.keepAlives.close()
    await revoked
  }

  /** Grants a lease without keeping it alive. If it had expired when the grant was answered, another one is granted. */
  async #grantOnly(ttlSeconds: number, options: Omit<GrantOptions, 'keepAlive'>): Promise<GrantedLease> {
    const TTL = positiveInteger('ttlSeconds', ttlSeconds)
    if (this.#isClosed) throw closedError()
    const chosen = options.id === undefined ? undefined : toLeaseId('id', options.id)
    const left = timeLeft(options.timeoutMs ?? this.#host.timeoutMs)
    for (;;) {
      const ID = chosen ?? randomLeaseId()
      const granted = await this.#grantOnce({ TTL, ID }, chosen !== undefined, {
        signal: options.signal,
        timeoutMs: left(),
      })
      if (granted !== undefined) return granted
    }
  }

  /** Resolves to `undefined` if the lease expired before its grant was answered, or if its random ID is in use. */
  async #grantOnce(
    request: { readonly TTL: number; readonly ID: string },
    isChosen: boolean,
    options: CallOptions,
  ): Promise<GrantedLease | undefined> {
    const context = callContext(options, { repeatable: true, requiresFloor: true, proposal: true })
    const left = timeLeft(options.timeoutMs)
    const renewed = (): Promise<GrantedLease | undefined> =>
      this.#asGranted(request, { signal: options.signal, timeoutMs: left() })
    try {
      const { TTL } = await this.#host.transport.unary(methods.Lease.LeaseGrant, request, context)
      const expiresAt = context.startedAt + TTL * 1000
      // After a slow call it is unknown when the lease was granted: a renewal gives a certain time.
      if (expiresAt - performance.now() < TTL * 500) return await renewed()
      return { id: request.ID, ttlSeconds: TTL, expiresAt }
    } catch (error) {
      if (!isEtcdError(error, 'LEASE_EXISTS')) throw error
      // A random ID is in use by an earlier attempt of this call, whose response was lost, or by a foreign lease.
      if (!isChosen) return context.progress.mayBeApplied ? renewed() : undefined
      throw context.progress.mayBeApplied ? perhapsOurs(error) : error
    }
  }

  async #asGranted(
    { ID, TTL }: { readonly ID: string; readonly TTL: number },
    options: CallOptions,
  ): Promise<GrantedLease | undefined> {
    try {
      const { ttlSeconds, sentAt } = await this.#renewOnce(ID, options, TTL)
      const expiresAt = sentAt + ttlSeconds * 1000
      return expiresAt > performance.now() ? { id: ID, ttlSeconds, expiresAt } : undefined
    } catch (error) {
      if (isEtcdError(error, 'LEASE_NOT_FOUND')) return undefined
      throw error
    }
  }

  /** @param ttlSeconds The TTL of the lease, if known: it bounds how long the member may take to answer. */
  async #renewOnce(
    id: string,
    { signal, timeoutMs = this.#host.timeoutMs }: CallOptions,
    ttlSeconds?: number,
  ): Promise<KeepAliveResult> {
    signal?.throwIfAborted()
    const { keepAlives, obstacle } = this.#host
    const waiter = new Waiter<KeepAliveResult>({ signal, onEnd: () => keepAlives.remove(target) })
    const deadlineAt = performance.now() + timeoutMs
    const target = new KeepAliveOnce({ id, ttlSeconds, deadlineAt, obstacle, waiter })
    keepAlives.add(target)
    return waiter.promise
  }

  #timeToLive(ID: string, keys: boolean, options: CallOptions): Promise<LeaseTimeToLiveResponse> {
    return this.#read(methods.Lease.LeaseTimeToLive, { ID, keys }, options)
  }

  #read<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions | undefined,
  ): Promise<Response> {
    // `requiresFloor` makes a member without a leader refuse the call instead of holding it for seconds.
    const context = callContext(options, { repeatable: true, requiresFloor: true, skipsRevisionCheck: true })
    return this.#host.transport.unary(method, request, context)
  }
}

/** A lease ID as etcd prints it: in lower case, without leading zeros. */
function toLeaseId(name: string, value: unknown): string {
  const text = hexId(name, value)
  const id = formatId(highWord(text), lowWord(text))
  if (id === undefined) throw new InvalidArgumentError(`\`${name}\` must not be zero, which means no lease`)
  return id
}

/** A positive number of 63 bits, as the server chooses them. */
function randomLeaseId(): string {
  const bytes = randomBytes(8)
  return formatId(bytes.readUInt32BE(0) >>> 1, bytes.readUInt32BE(4)) ?? randomLeaseId()
}

function perhapsOurs({ rawMessage, endpoint, method, attempts, grpcCode, cause }: EtcdError): EtcdError {
  const message = `${rawMessage}, possibly by an earlier attempt of this call`
  return new EtcdError(message, {
    code: 'LEASE_EXISTS',
    effect: 'unknown',
    endpoint,
    method,
    attempts,
    grpcCode,
    cause,
  })
}
