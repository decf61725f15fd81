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
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import type { GrantedLease } from './granted-lease.js'
import { KeepAliveOnce, type KeepAliveResult } from './keep-alive-once.js'
import type { KeepAliveScheduler } from './keep-alive-scheduler.js'
import { Lease } from './lease.js'
import type { LeaseLostError } from './lease-lost-error.js'
import { LeasePool } from './lease-pool.js'
import { LeaseRecord } from './lease-record.js'
import type { PooledLease } from './pooled-lease.js'
import type { RegistrationKv } from './registered-key.js'
import { type RegisterOptions, Registration, type RegistrationHost } from './registration.js'
import type { Session } from './session.js'
import { SessionPool } from './session-pool.js'

/** Options of `grant()`. */
export interface GrantOptions extends CallOptions {
  /** The ID of the lease, in hexadecimal. @default a random one */
  readonly id?: string | undefined
  /** Renews the lease until it is revoked or closed. @default true */
  readonly keepAlive?: boolean | undefined
}

/** Options of `timeToLive()`. */
export interface TimeToLiveOptions extends CallOptions {
  /** Reads the keys of the lease, too, for which the user must be allowed to read all of them. @default false */
  readonly keys?: boolean | undefined
}

/** What the cluster knows about a lease. */
export interface LeaseStatus {
  readonly id: string
  /** How long it lives without a renewal. */
  readonly ttlSeconds: number
  /** What is left of that, in whole seconds. */
  readonly remainingSeconds: number
  /** Its keys, whole ones also where the client has a namespace; `undefined` if they were not asked for. */
  readonly keys: readonly Buffer[] | undefined
}

/** What leases work with. */
export interface LeasesHost {
  readonly transport: Transport
  readonly keepAlives: KeepAliveScheduler
  readonly onLost: (error: LeaseLostError) => void
  /** A revocation has ended, at `revision`, or without one if it may have been applied. Its keys are gone. */
  readonly onRevoked: (revision: number | undefined) => void
  readonly events: RegistrationHost['events']
  /** Bound of calls for which none is given, in milliseconds. */
  readonly timeoutMs: number
  readonly obstacle: Obstacle
}

const defaultRegistrationSeconds = 15
/** Bound of the revocations that `close()` waits for. */
const closingMs = 1000
const grantOptions = [...callOptionNames, 'id', 'keepAlive']

/** Leases: keys that are attached to one are deleted when it ends, which it does unless it is renewed. */
export class Leases {
  readonly #host: LeasesHost
  readonly #pool: LeasePool
  readonly #sessions: SessionPool
  readonly #registrations = new Set<Registration>()

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
   * Grants a lease of `ttlSeconds`, or of the server's minimum if that is more, and keeps it alive. All leases of a client
   * are renewed by one stream. A grant whose answer was lost leaves a lease that nobody renews.
   *
   * `LEASE_EXISTS` if the `id` that you chose is taken; with effect `unknown` where the lease may be from a first attempt
   * of this very call.
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

  /** Ends a lease and deletes its keys. `LEASE_NOT_FOUND` if there is none. */
  async revoke(id: string, options?: CallOptions): Promise<void> {
    checkCall('revoke()', options)
    const ID = toLeaseId('id', id)
    const context = callContext(options, { repeatable: true, requiresFloor: true, proposal: true })
    let revision: number | undefined
    try {
      const { header } = await this.#host.transport.unary(methods.Lease.LeaseRevoke, { ID }, context)
      revision = header?.revision
    } catch (error) {
      // It is gone by the attempt whose answer was lost. Attempts that were refused have done nothing.
      if (!context.progress.mayBeApplied || !isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
    } finally {
      this.#host.onRevoked(revision)
    }
    this.#host.keepAlives.revoked(ID)
  }

  /** What the cluster knows about a lease; `undefined` if there is none. */
  async timeToLive(id: string, options: TimeToLiveOptions = {}): Promise<LeaseStatus | undefined> {
    checkCall('timeToLive()', options, [...callOptionNames, 'keys'])
    const keys = optionalBoolean('keys', options.keys) ?? false
    const ID = toLeaseId('id', id)
    const answer = await this.#timeToLive(ID, keys, options)
    // The server answers with -1 for no lease, and with 0 for the last second of one.
    if (answer.TTL < 0) return undefined
    return { id: ID, ttlSeconds: answer.grantedTTL, remainingSeconds: answer.TTL, keys: keys ? answer.keys : undefined }
  }

  /** The IDs of all leases of the cluster, which a user may only list who may read all of their keys. */
  async list(options?: CallOptions): Promise<string[]> {
    checkCall('list()', options)
    const { leases } = await this.#read(methods.Lease.LeaseLeases, {}, options)
    return leases.flatMap(({ ID }) => (ID === undefined ? [] : [ID]))
  }

  /** Renews a lease once and gives its new time. `LEASE_NOT_FOUND` if there is none. */
  async keepAliveOnce(id: string, options: CallOptions = {}): Promise<number> {
    checkCall('keepAliveOnce()', options)
    const ID = toLeaseId('id', id)
    return (await this.#renewOnce(ID, options)).ttlSeconds
  }

  /**
   * A part in a lease of `ttlSeconds` that is kept alive for all who ask this client for it. Where many keys are to end
   * with this process, they need no lease each.
   */
  async shared(ttlSeconds: number, options: CallOptions = {}): Promise<Session> {
    checkCall('shared()', options)
    return this.#sessions.acquire(positiveInteger('ttlSeconds', ttlSeconds), options)
  }

  /** @internal Registers a key among those of `kv`. */
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
    await registration.establish(options)
    this.#registrations.add(registration)
    return registration
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
   * Ends what this client knows of its leases. Those of registrations, and the shared ones, are revoked, so that what they
   * stand for is free at once; the server ends the others when their time is over.
   */
  async close(): Promise<void> {
    const registrations = [...this.#registrations].map((each) => each.close({ timeoutMs: closingMs }).catch(() => {}))
    const revoked = Promise.all([this.#sessions.close(), ...registrations])
    this.#host.keepAlives.close()
    await revoked
  }

  /**
   * Grants a lease that nobody renews, and whose end is not reported. One that was over when its grant was answered is
   * granted again.
   */
  async #grantOnly(ttlSeconds: number, options: Omit<GrantOptions, 'keepAlive'>): Promise<GrantedLease> {
    const TTL = positiveInteger('ttlSeconds', ttlSeconds)
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

  /** Resolves to nothing where the lease was over before its grant was answered, or its random ID is another one's. */
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
      // A call that took long, by repeats or an election, may have been applied at its end: a renewal tells.
      if (expiresAt - performance.now() < TTL * 500) return await renewed()
      return { id: request.ID, ttlSeconds: TTL, expiresAt }
    } catch (error) {
      if (!isEtcdError(error, 'LEASE_EXISTS')) throw error
      // A random ID is taken by an attempt whose answer was lost, or by somebody else: then another one is not.
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

  /** `ttlSeconds`: what the lease lasts, where that is known, by which the member has to answer. */
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
    // `requiresFloor` keeps a member without a leader from holding it for seconds.
    const context = callContext(options, { repeatable: true, requiresFloor: true, skipsRevisionCheck: true })
    return this.#host.transport.unary(method, request, context)
  }
}

/** A lease ID as etcd prints it: in lower case, without leading zeros. */
function toLeaseId(name: string, value: unknown): string {
  const text = hexId(name, value)
  const id = formatId(highWord(text), lowWord(text))
  if (id === undefined) throw new InvalidArgumentError(`\`${name}\` must not be zero, which stands for no lease`)
  return id
}

/** A positive number of 63 bits, as the server itself would choose it. */
function randomLeaseId(): string {
  const bytes = randomBytes(8)
  return formatId(bytes.readUInt32BE(0) >>> 1, bytes.readUInt32BE(4)) ?? randomLeaseId()
}

function perhapsOurs({ rawMessage, endpoint, method, attempts, grpcCode, cause }: EtcdError): EtcdError {
  const message = `${rawMessage}, maybe from an earlier attempt of this call`
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
