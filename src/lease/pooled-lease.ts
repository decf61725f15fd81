import { longestTimerMs } from '../core/abort.js'
import { isEtcdError } from '../core/errors.js'
import { waitWithin } from '../core/wait.js'
import type { CallOptions } from '../transport/transport.js'
import type { GrantedLease } from './granted-lease.js'
import type { KeepAliveResult } from './keep-alive-once.js'
import { renewalTimeout } from './lease-timeouts.js'

/** Renews a lease once. */
export type RenewOnce = (id: string, ttlSeconds: number) => Promise<KeepAliveResult>

/** When less than this share of a key's TTL is left, the lease is renewed for the puts that are in flight. */
const renewalShare = 2 / 3
/** The wait between failing renewals. */
const minPauseMs = 100

/**
 * A lease that keys with the same TTL share. It is renewed only for puts that take long: during such a put, so that the
 * lease exists whenever the put is applied, and before the put resolves, so that the key has its whole TTL left. A renewed
 * lease takes no more keys, so its keys live longer by one renewal, not forever.
 */
export class PooledLease {
  readonly id: string
  readonly #ttlSeconds: number
  readonly #keyMs: number
  readonly #renewOnce: RenewOnce
  #expiresAt: number
  #keys = 0
  #inFlight = 0
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<boolean> | undefined
  #isRetired = false

  constructor({ id, ttlSeconds, expiresAt }: GrantedLease, keySeconds: number, renewOnce: RenewOnce) {
    this.id = id
    this.#ttlSeconds = ttlSeconds
    this.#keyMs = keySeconds * 1000
    this.#expiresAt = expiresAt
    this.#renewOnce = renewOnce
  }

  /** How many keys were put with it. */
  get keys(): number {
    return this.#keys
  }

  /** Whether it takes another key, and outlasts it by `spareMs`. */
  lasts(spareMs: number): boolean {
    return !this.#isRetired && this.#leftMs() >= this.#keyMs + spareMs
  }

  /** Whether it takes another key, whatever time is left. */
  exists(): boolean {
    return !this.#isRetired && this.#leftMs() > 0
  }

  /** A put with it begins. */
  enter(): void {
    this.#keys += 1
    this.#inFlight += 1
    if (this.#inFlight === 1) this.#planRenewal()
  }

  /** The put has ended. */
  leave(): void {
    this.#inFlight -= 1
    if (this.#inFlight === 0) clearTimeout(this.#timer)
  }

  /** The lease does not exist in the cluster. */
  gone(): void {
    this.#isRetired = true
  }

  /**
   * The put was acknowledged. Returns `undefined` if its key has the whole TTL left; otherwise renews the lease, and resolves
   * to whether the lease, and the key with it, still existed.
   */
  cover(options: CallOptions): Promise<boolean> | undefined {
    return this.#leftMs() >= this.#keyMs ? undefined : this.#cover(options)
  }

  async #cover(options: CallOptions): Promise<boolean> {
    if (!(await waitWithin(this.#lastUntil(performance.now() + this.#keyMs), options, renewalTimeout))) return false
    // The renewal took longer than the lease outlasts its keys: one more makes up for that.
    if (this.#leftMs() < this.#keyMs) this.#lastUntil(performance.now() + this.#keyMs).catch(() => {})
    return true
  }

  async #lastUntil(time: number): Promise<boolean> {
    while (this.#expiresAt < time) if (!(await this.#renew())) return false
    return true
  }

  /** Callers share the renewal in flight. Resolves to whether the lease exists. */
  #renew(): Promise<boolean> {
    this.#isRetired = true
    this.#renewing ??= this.#renewNow().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #renewNow(): Promise<boolean> {
    try {
      const { ttlSeconds, sentAt } = await this.#renewOnce(this.id, this.#ttlSeconds)
      this.#expiresAt = sentAt + ttlSeconds * 1000
      return true
    } catch (error) {
      if (isEtcdError(error, 'LEASE_NOT_FOUND')) return false
      throw error
    }
  }

  #planRenewal(): void {
    const delayMs = Math.max(minPauseMs, this.#leftMs() - this.#keyMs * renewalShare)
    this.#timer = setTimeout(() => void this.#renewForPuts(), Math.min(longestTimerMs, delayMs))
    this.#timer.unref()
  }

  async #renewForPuts(): Promise<void> {
    const exists = await this.#renew().catch(() => true)
    if (exists && this.#inFlight > 0) this.#planRenewal()
  }

  #leftMs(): number {
    return this.#expiresAt - performance.now()
  }
}
