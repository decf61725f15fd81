import { sleep } from '../core/abort.js'
import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { keyBytes } from '../core/validate.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { Lease } from './lease.js'
import { LeaseLostError, type LeaseLostReason } from './lease-lost-error.js'

/** What a client's events say about its registrations. */
export interface RegistrationEvents {
  /** The lease of a registration was lost, and the key is gone or will be; it is put back as soon as that is possible. */
  registrationLost: { readonly key: Buffer; readonly reason: LeaseLostReason }
  /** The key is there again, with a new lease. */
  registrationRestored: { readonly key: Buffer; readonly leaseId: string; readonly downMs: number }
  /** The key could not be put back; that is tried again. */
  registrationFailed: { readonly key: Buffer; readonly error: unknown }
}

/** What a registration works with. */
export interface RegistrationHost {
  readonly events: { emit<Name extends keyof RegistrationEvents>(name: Name, payload: RegistrationEvents[Name]): void }
  grant(ttlSeconds: number, options: CallOptions): Promise<Lease>
  onClosed(registration: Registration): void
}

/** Writes keys with a lease: all keys, or those of a namespace. */
export interface RegistrationKv {
  put(key: Bytes, value: Bytes, options: CallOptions & { readonly lease: string }): Promise<unknown>
}

/** Options of `register()`. */
export interface RegisterOptions extends CallOptions {
  /** How long the key stays when this process is gone. @default 15 */
  readonly ttlSeconds?: number | undefined
}

const backoff = { baseMs: 100, maxMs: 5000 }

/**
 * A key that is there as long as this process is: on a lease of its own, which is kept alive. When the lease is lost, by an
 * outage or a stall that was longer than it lives or because it was revoked, the key is put back with a new one, whatever
 * others have made of it meanwhile. A deletion of the key alone is not noticed.
 */
export class Registration implements AsyncDisposable {
  readonly key: Buffer
  readonly #host: RegistrationHost
  readonly #kv: RegistrationKv
  readonly #ttlSeconds: number
  readonly #closing = new AbortController()
  #value: Bytes
  #lease: Lease | undefined

  /** Made by `register()`. */
  constructor(host: RegistrationHost, kv: RegistrationKv, [key, value]: readonly [Bytes, Bytes], ttlSeconds: number) {
    this.#host = host
    this.#kv = kv
    this.#ttlSeconds = ttlSeconds
    this.key = keyBytes('key', key)
    this.#value = keyBytes('value', value)
  }

  /** Whether the key is there, as far as this process can know. */
  get isRegistered(): boolean {
    return this.#lease?.isAlive() ?? false
  }

  /** The ID of the lease that the key has now. */
  get leaseId(): string | undefined {
    return this.isRegistered ? this.#lease?.id : undefined
  }

  /** Puts the key with a lease of its own. */
  async establish(options: CallOptions): Promise<void> {
    const lease = await this.#host.grant(this.#ttlSeconds, options)
    try {
      await this.#put(lease, options)
      this.#closing.signal.throwIfAborted()
    } catch (error) {
      // With its lease goes a key that may have been put after all.
      lease.revoke().catch(() => {})
      throw error
    }
    this.#lease = lease
    if (lease.signal.aborted) void this.#onLost(lease)
    else lease.signal.addEventListener('abort', () => void this.#onLost(lease), { once: true })
  }

  /** Gives the key another value; while the registration is lost, that is put when it is restored. */
  async update(value: Bytes, options: CallOptions = {}): Promise<void> {
    this.#value = keyBytes('value', value)
    const lease = this.#lease
    if (lease?.isAlive()) await this.#put(lease, options)
  }

  /** Ends the registration; the key goes with its lease. So does `close()` of the client. */
  async close(options?: CallOptions): Promise<void> {
    checkCall('close()', options)
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#host.onClosed(this)
    if (this.isRegistered) await this.#lease?.revoke(options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #put(lease: Lease, options: CallOptions): Promise<void> {
    let value: Bytes
    do {
      value = this.#value
      await this.#kv.put(this.key, value, { ...options, lease: lease.id })
    } while (value !== this.#value)
  }

  async #onLost({ signal }: Lease): Promise<void> {
    const reason = signal.reason instanceof LeaseLostError ? signal.reason.reason : 'expired'
    // The client was closed.
    if (reason === 'closed' || this.#closing.signal.aborted) return
    const lostAt = performance.now()
    const { key } = this
    this.#host.events.emit('registrationLost', { key, reason })
    const leaseId = await this.#restore()
    if (leaseId === undefined) return
    this.#host.events.emit('registrationRestored', { key, leaseId, downMs: performance.now() - lostAt })
  }

  /** Tries until it succeeds, or nobody wants it any more. */
  async #restore(): Promise<string | undefined> {
    const { signal } = this.#closing
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.establish({ signal })
        return this.#lease?.id
      } catch (error) {
        if (signal.aborted || isEtcdError(error, 'CLOSED')) return undefined
        this.#host.events.emit('registrationFailed', { key: this.key, error })
        await sleep(halfJitterMs(attempt, backoff), signal).catch(() => {})
      }
    }
  }
}
