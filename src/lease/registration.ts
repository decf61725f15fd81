import { onAbort } from '../core/abort.js'
import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { printAs, printedBytes } from '../core/printing.js'
import { ownBytes } from '../core/validate.js'
import { sleep, timeLeft } from '../core/wait.js'
import { checkCall } from '../transport/call-options.js'
import { closedError } from '../transport/connection/connection-manager.js'
import type { CallOptions } from '../transport/transport.js'
import type { Lease } from './lease.js'
import { LeaseLostError, type LeaseLostReason } from './lease-lost-error.js'
import { settledSoon } from './lease-timeouts.js'
import { type ObservedKey, RegisteredKey, type RegistrationKv } from './registered-key.js'

/** A client's events about its registrations. */
export interface RegistrationEvents {
  /** The key was deleted, or will be because its lease was lost for this reason. It is put again as soon as possible. */
  registrationLost: { readonly key: Buffer; readonly reason: LeaseLostReason | 'deleted' }
  /** Another owner has put the key, with the lease `leaseId` or none. It is put again when that owner deletes it. */
  registrationTaken: { readonly key: Buffer; readonly leaseId: string | undefined }
  /** The key was put again, `downMs` after it was lost or taken. */
  registrationRestored: { readonly key: Buffer; readonly leaseId: string; readonly downMs: number }
  /** An attempt to put the key again failed and is retried; or the key cannot be watched, because the user may not read it. */
  registrationFailed: { readonly key: Buffer; readonly error: unknown }
}

/** What a registration needs from its client. */
export interface RegistrationHost {
  readonly events: { emit<Name extends keyof RegistrationEvents>(name: Name, payload: RegistrationEvents[Name]): void }
  /** Time limit of calls without one, in milliseconds. */
  readonly timeoutMs: number
  grant(ttlSeconds: number, options: CallOptions): Promise<Lease>
  /** The lease no longer exists in the cluster. */
  revoked(leaseId: string): void
  /** `close()` has ended: nothing of the registration is in flight any more. */
  onClosed(registration: Registration): void
}

/** Options of `register()`. */
export interface RegisterOptions extends CallOptions {
  /** How long, in seconds, the key stays after this process has failed. @default 15 */
  readonly ttlSeconds?: number | undefined
}

/**
 * The state of a registration:
 *
 * - `registered`: the key exists with the lease of this registration;
 * - `lost`: the key was deleted, or its lease was lost; it is being put again;
 * - `taken`: another owner has put the key; it is put again when that owner deletes it;
 * - `closed`: `close()` was called on the registration or its client.
 */
export type RegistrationState = 'registered' | 'lost' | 'taken' | 'closed'

type State =
  | { readonly kind: 'registered' }
  /** `reason` is set until `registrationLost` is emitted. */
  | { readonly kind: 'lost'; readonly at: number; readonly reason: 'deleted' | undefined }
  | { readonly kind: 'taken'; readonly at: number }

const backoff = { baseMs: 100, maxMs: 5000 }
/** Time limit of the first attempt to put a deleted key again. The loss is reported at the latest after that. */
const firstAttemptMs = 1000

/**
 * A key that exists as long as this process runs. Returned by `register()`.
 *
 * The key has a separate lease, which is kept alive, and is watched. If the key is deleted, or its lease is lost by an
 * outage, a stall or a revocation, the key is put again. A key that another owner has put is not overwritten until that
 * owner deletes it.
 */
export class Registration implements AsyncDisposable {
  static {
    printAs(this, (registration) => ({ key: printedBytes(registration.key), state: registration.state }))
  }
  readonly key: Buffer
  readonly #host: RegistrationHost
  readonly #key: RegisteredKey
  readonly #ttlSeconds: number
  readonly #closing = new AbortController()
  /** Lost leases of this registration whose key may still exist. */
  readonly #former = new Set<string>()
  #value: Buffer
  #lease: Lease | undefined
  #state: State = { kind: 'lost', at: 0, reason: undefined }
  /** The revision of the last observed state of the key. */
  #revision = 0
  #isRestoring = false
  #establishing: Promise<void> = Promise.resolve()
  #ending: Promise<void> = Promise.resolve()

  /** @internal Created by `register()`. */
  constructor(host: RegistrationHost, kv: RegistrationKv, [key, value]: readonly [Bytes, Bytes], ttlSeconds: number) {
    this.#host = host
    this.#ttlSeconds = ttlSeconds
    this.key = ownBytes('key', key)
    this.#key = new RegisteredKey(this.key, kv)
    this.#value = ownBytes('value', value)
  }

  /** The state at this moment. */
  get state(): RegistrationState {
    if (this.#closing.signal.aborted) return 'closed'
    // In a process that did not run, `isAlive()` is false before the signal of the lease aborts.
    return this.#state.kind === 'registered' && this.#lease?.isAlive() !== true ? 'lost' : this.#state.kind
  }

  /** Whether the key exists with the lease of this registration, as far as this client knows. */
  get isRegistered(): boolean {
    return this.state === 'registered'
  }

  /** The ID of the key's lease; `undefined` unless registered. */
  get leaseId(): string | undefined {
    return this.isRegistered ? this.#lease?.id : undefined
  }

  /**
   * @internal Puts the key with a new lease, also over another owner's key. If the client is closed meanwhile, rejects when the
   * lease is revoked.
   */
  establish(options: CallOptions): Promise<void> {
    this.#establishing = this.#establish(options)
    return this.#establishing
  }

  async #establish(options: CallOptions): Promise<void> {
    const left = timeLeft(options.timeoutMs ?? this.#host.timeoutMs)
    const within = (): CallOptions => ({ signal: options.signal, timeoutMs: left() })
    const closing = this.#closing.signal
    for (;;) {
      const lease = await this.#host.grant(this.#ttlSeconds, within())
      try {
        closing.throwIfAborted()
        const fact = await this.#key.take(this.#value, lease.id, within())
        closing.throwIfAborted()
        this.#adopt(lease)
        this.#observe(fact)
        void this.#follow()
        return
      } catch (error) {
        // The put may have been applied after all: revoking the lease deletes the key.
        const revoking = lease.revoke().catch(() => {})
        if (closing.aborted) await revoking
        closing.throwIfAborted()
        if (!isEtcdError(error, 'LEASE_NOT_FOUND') || left() === 0) throw error
      }
    }
  }

  /**
   * Gives the key another value; while the registration is lost or taken, that is put when it is restored.
   *
   * @throws `CLOSED` after `close()`.
   */
  async update(value: Bytes, options: CallOptions = {}): Promise<void> {
    checkCall('update()', options)
    const bytes = ownBytes('value', value)
    if (this.#closing.signal.aborted) throw closedError()
    this.#value = bytes
    const lease = this.#lease
    if (lease === undefined || !this.isRegistered) return
    try {
      let put: Buffer
      do {
        put = this.#value
        this.#observe(await this.#key.update(put, lease.id, options))
      } while (put !== this.#value && this.isRegistered)
    } catch (error) {
      if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
      this.#host.revoked(lease.id)
    }
  }

  /** Ends the registration and deletes the key, unless another owner has it. Closing the client does the same. */
  async close(options?: CallOptions): Promise<void> {
    checkCall('close()', options)
    if (this.#closing.signal.aborted) {
      // Its failure concerns the caller of the first `close()`.
      await this.#ending.catch(() => {})
      return
    }
    this.#closing.abort(closedError('unknown'))
    this.#ending = this.#end(options).finally(() => this.#host.onClosed(this))
    await this.#ending
  }

  /** Same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end(options: CallOptions | undefined): Promise<void> {
    if (this.#lease === undefined) await settledSoon(this.#establishing)
    else if (this.#lease.isAlive()) await this.#lease.revoke(options)
  }

  #adopt(lease: Lease): void {
    if (this.#lease !== undefined) this.#former.add(this.#lease.id)
    this.#lease = lease
    onAbort(lease.signal, () => this.#onLeaseLost(lease))
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

  /** Records the state of the key at a revision, unless a later one is known. */
  #observe({ revision, exists, leaseId }: ObservedKey): void {
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
    // That the key was taken has been reported: the deletion of the other owner's key is not a loss.
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
   * The end of a lease deletes its key, too. Only the first attempt to put the key again shows whether the lease still
   * exists, so the loss is reported after that.
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

  /** Retries until the key exists, another owner has it, or the registration is closed. */
  async #untilKnown(): Promise<void> {
    const { signal } = this.#closing
    this.#isRestoring = true
    for (let attempt = 1; this.#state.kind === 'lost' && !signal.aborted; attempt += 1) {
      try {
        await this.#claim(this.#state.reason === undefined ? { signal } : { signal, timeoutMs: firstAttemptMs })
        // A lease that no longer exists is replaced without a backoff.
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
      this.#observe(fact)
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

  /** Watches the key, and reads it if its state is not known from events. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        if (attempt > 0) await this.#reread()
        for await (const fact of this.#key.changes(this.#revision, signal)) {
          this.#observe(fact)
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
    // The cluster may have been restored to a lower revision.
    this.#revision = 0
    this.#observe(fact)
  }
}
