import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { keyBytes } from '../core/validate.js'
import { sleep, timeLeft } from '../core/wait.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { Lease } from './lease.js'
import { LeaseLostError, type LeaseLostReason } from './lease-lost-error.js'
import { type ObservedKey, RegisteredKey, type RegistrationKv } from './registered-key.js'

/** A client's events about its registrations. */
export interface RegistrationEvents {
  /**
   * The key is gone or will be: it was deleted, or its lease was lost for the reason given. It is put back as soon as
   * possible.
   */
  registrationLost: { readonly key: Buffer; readonly reason: LeaseLostReason | 'deleted' }
  /** Another owner has put the key, with the lease `leaseId` or none. It is put back when that owner's key is gone. */
  registrationTaken: { readonly key: Buffer; readonly leaseId: string | undefined }
  /** The key is there again; `downMs` is the time since it was lost or taken. */
  registrationRestored: { readonly key: Buffer; readonly leaseId: string; readonly downMs: number }
  /** The key could not be put back, which is tried again; or it cannot be watched, because this user may not read it. */
  registrationFailed: { readonly key: Buffer; readonly error: unknown }
}

/** What a registration works with. */
export interface RegistrationHost {
  readonly events: { emit<Name extends keyof RegistrationEvents>(name: Name, payload: RegistrationEvents[Name]): void }
  /** Time limit of calls without one, in milliseconds. */
  readonly timeoutMs: number
  grant(ttlSeconds: number, options: CallOptions): Promise<Lease>
  /** The cluster does not know this lease any more. */
  revoked(leaseId: string): void
  onClosed(registration: Registration): void
}

/** Options of `register()`. */
export interface RegisterOptions extends CallOptions {
  /** How long the key stays when this process is gone. @default 15 */
  readonly ttlSeconds?: number | undefined
}

/**
 * - `registered`: the key is there, with this registration's lease.
 * - `lost`: the key was deleted, or its lease was lost; it is being put back.
 * - `taken`: another owner has put the key; it is put back when that owner's key is gone.
 * - `closed`: `close()` was called, here or on the client.
 */
export type RegistrationState = 'registered' | 'lost' | 'taken' | 'closed'

type State =
  | { readonly kind: 'registered' }
  /** `reason` is what `registrationLost` is still to report. */
  | { readonly kind: 'lost'; readonly at: number; readonly reason: 'deleted' | undefined }
  | { readonly kind: 'taken'; readonly at: number }

const backoff = { baseMs: 100, maxMs: 5000 }
/** Time limit of the first attempt to put a deleted key back; the loss is reported after that, at the latest. */
const firstAttemptMs = 1000

/**
 * A key that is there as long as this process is: on a lease to itself, which is kept alive, and watched. When the key is
 * deleted, or its lease is lost by an outage, a stall or a revocation, the key is put back. A key that another owner has put
 * meanwhile is left alone until it is gone.
 */
export class Registration implements AsyncDisposable {
  readonly key: Buffer
  readonly #host: RegistrationHost
  readonly #key: RegisteredKey
  readonly #ttlSeconds: number
  readonly #closing = new AbortController()
  /** Leases of this registration that were lost, whose key may still be there. */
  readonly #former = new Set<string>()
  #value: Buffer
  #lease: Lease | undefined
  #state: State = { kind: 'lost', at: 0, reason: undefined }
  /** The revision up to which the state of the key is known. */
  #revision = 0
  #isRestoring = false

  /** Made by `register()`. */
  constructor(host: RegistrationHost, kv: RegistrationKv, [key, value]: readonly [Bytes, Bytes], ttlSeconds: number) {
    this.#host = host
    this.#ttlSeconds = ttlSeconds
    this.key = keyBytes('key', key)
    this.#key = new RegisteredKey(this.key, kv)
    this.#value = keyBytes('value', value)
  }

  get state(): RegistrationState {
    if (this.#closing.signal.aborted) return 'closed'
    // A lease that has run out shows before its signal aborts, in a process that did not run.
    return this.#state.kind === 'registered' && this.#lease?.isAlive() !== true ? 'lost' : this.#state.kind
  }

  /** Whether the key is there with this registration's lease, as far as this process can know. */
  get isRegistered(): boolean {
    return this.state === 'registered'
  }

  /** The ID of the lease that the key has now. */
  get leaseId(): string | undefined {
    return this.isRegistered ? this.#lease?.id : undefined
  }

  /** Puts the key with a new lease, also over another owner's. */
  async establish(options: CallOptions): Promise<void> {
    const left = timeLeft(options.timeoutMs ?? this.#host.timeoutMs)
    const within = (): CallOptions => ({ signal: options.signal, timeoutMs: left() })
    for (;;) {
      const lease = await this.#host.grant(this.#ttlSeconds, within())
      try {
        const fact = await this.#key.take(this.#value, lease.id, within())
        this.#adopt(lease)
        this.#learn(fact)
        void this.#follow()
        return
      } catch (error) {
        // With its lease goes a key that may have been put after all.
        lease.revoke().catch(() => {})
        if (!isEtcdError(error, 'LEASE_NOT_FOUND') || left() === 0) throw error
      }
    }
  }

  /** Gives the key another value; while the registration is lost or taken, that is put when it is restored. */
  async update(value: Bytes, options: CallOptions = {}): Promise<void> {
    this.#value = keyBytes('value', value)
    const lease = this.#lease
    if (lease === undefined || !this.isRegistered) return
    try {
      let put: Buffer
      do {
        put = this.#value
        this.#learn(await this.#key.update(put, lease.id, options))
      } while (put !== this.#value && this.isRegistered)
    } catch (error) {
      if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
      this.#host.revoked(lease.id)
    }
  }

  /** Ends the registration; the key goes with its lease. So does `close()` of the client. */
  async close(options?: CallOptions): Promise<void> {
    checkCall('close()', options)
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#host.onClosed(this)
    if (this.#lease?.isAlive()) await this.#lease.revoke(options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #adopt(lease: Lease): void {
    if (this.#lease !== undefined) this.#former.add(this.#lease.id)
    this.#lease = lease
    if (lease.signal.aborted) this.#onLeaseLost(lease)
    else lease.signal.addEventListener('abort', () => this.#onLeaseLost(lease), { once: true })
  }

  #onLeaseLost(lease: Lease): void {
    if (lease !== this.#lease || this.#closing.signal.aborted) return
    const reason = lease.signal.reason instanceof LeaseLostError ? lease.signal.reason.reason : 'expired'
    // The client was closed.
    if (reason === 'closed' || this.#state.kind === 'taken') return
    const { kind } = this.#state
    if (kind === 'registered' || this.#state.reason !== undefined) {
      this.#state = { kind: 'lost', at: kind === 'registered' ? performance.now() : this.#state.at, reason: undefined }
      this.#host.events.emit('registrationLost', { key: this.key, reason })
    }
    this.#restore()
  }

  /** Takes in what the key was at a revision. Older news than what is known already changes nothing. */
  #learn({ revision, exists, leaseId }: ObservedKey): void {
    if (revision <= this.#revision || this.#closing.signal.aborted) return
    this.#revision = revision
    if (!exists) this.#missing('deleted')
    else if (leaseId === this.#lease?.id && this.#lease?.isAlive()) this.#registered(this.#lease)
    else if (leaseId === this.#lease?.id || this.#former.has(leaseId ?? '')) this.#missing(undefined)
    else this.#taken(leaseId)
  }

  #missing(reason: 'deleted' | undefined): void {
    const { kind } = this.#state
    if (kind === 'registered') this.#state = { kind: 'lost', at: performance.now(), reason }
    // That the key was taken was reported: that it is free again is not a loss.
    if (kind === 'taken') this.#state = { kind: 'lost', at: this.#state.at, reason: undefined }
    this.#restore()
  }

  #registered({ id }: Lease): void {
    this.#former.clear()
    const state = this.#state
    if (state.kind === 'registered') return
    this.#reportLoss()
    this.#state = { kind: 'registered' }
    if (state.at === 0) return
    this.#host.events.emit('registrationRestored', {
      key: this.key,
      leaseId: id,
      downMs: performance.now() - state.at,
    })
  }

  #taken(leaseId: string | undefined): void {
    const state = this.#state
    if (state.kind === 'taken') return
    this.#reportLoss()
    this.#state = { kind: 'taken', at: state.kind === 'lost' ? state.at : performance.now() }
    this.#host.events.emit('registrationTaken', { key: this.key, leaseId })
  }

  /**
   * A key is deleted also by the end of its lease, which the first attempt to put it back shows: until then it is not known
   * what to report.
   */
  #reportLoss(): void {
    if (this.#state.kind !== 'lost' || this.#state.reason === undefined) return
    const { at, reason } = this.#state
    this.#state = { kind: 'lost', at, reason: undefined }
    this.#host.events.emit('registrationLost', { key: this.key, reason })
  }

  #restore(): void {
    if (!this.#isRestoring) void this.#untilKnown()
  }

  /** Tries until the key is there, or another owner has it, or nobody wants it any more. */
  async #untilKnown(): Promise<void> {
    const { signal } = this.#closing
    this.#isRestoring = true
    for (let attempt = 1; this.#state.kind === 'lost' && !signal.aborted; attempt += 1) {
      try {
        await this.#claim(this.#state.reason === undefined ? { signal } : { signal, timeoutMs: firstAttemptMs })
        // A lease that was gone is replaced at once.
        if (attempt === 1) continue
      } catch (error) {
        if (signal.aborted || isEtcdError(error, 'CLOSED')) break
        this.#reportLoss()
        this.#host.events.emit('registrationFailed', { key: this.key, error })
      }
      if (this.#state.kind === 'lost') await sleep(halfJitterMs(attempt, backoff), signal).catch(() => {})
    }
    this.#isRestoring = false
  }

  async #claim(options: CallOptions): Promise<void> {
    const lease = await this.#aliveLease(options)
    try {
      let value: Buffer
      let fact: ObservedKey
      do {
        value = this.#value
        fact = await this.#key.claim(value, lease.id, this.#former, options)
      } while (value !== this.#value)
      this.#learn(fact)
    } catch (error) {
      if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
      this.#host.revoked(lease.id)
    }
  }

  async #aliveLease(options: CallOptions): Promise<Lease> {
    if (this.#lease?.isAlive()) return this.#lease
    const lease = await this.#host.grant(this.#ttlSeconds, options)
    if (this.#closing.signal.aborted) lease.revoke().catch(() => {})
    this.#closing.signal.throwIfAborted()
    this.#adopt(lease)
    return lease
  }

  /** Watches the key. Where history does not show its state, it is read. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        if (attempt > 0) await this.#reread()
        for await (const fact of this.#key.changes(this.#revision, signal)) {
          this.#learn(fact)
          attempt = 0
        }
        return
      } catch (error) {
        if (signal.aborted || isEtcdError(error, 'CLOSED')) return
        if (attempt > 0 || isEtcdError(error, 'PERMISSION_DENIED')) {
          this.#host.events.emit('registrationFailed', { key: this.key, error })
        }
        if (isEtcdError(error, 'PERMISSION_DENIED')) return
        if (attempt > 0) await sleep(halfJitterMs(attempt, backoff), signal).catch(() => {})
      }
    }
  }

  async #reread(): Promise<void> {
    const fact = await this.#key.read({ signal: this.#closing.signal })
    // The cluster may have been restored to less.
    this.#revision = 0
    this.#learn(fact)
  }
}
