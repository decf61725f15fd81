import { isEtcdError } from '../core/errors.js'
import { waitWithin } from '../core/wait.js'
import type { CallOptions } from '../transport/transport.js'
import type { GrantedLease } from './granted-lease.js'
import type { KeepAliveResult } from './keep-alive-once.js'
import { renewalTimeout } from './lease-timeouts.js'

/** Renews a lease once. */
export type RenewOnce = (id: string, ttlSeconds: number) => Promise<KeepAliveResult>

/** When less than this share of a key's time is left, the lease is renewed for the puts that are still under way. */
const renewalShare = 2 / 3
/** Time between renewals that fail. */
const minPauseMs = 100

/**
 * A lease that keys with the same time to live share. It is renewed only for puts that take long: while one is under way,
 * so that the lease exists whenever the put is applied, and before the put resolves, so that the key has its whole time
 * left. A lease that was renewed takes no more keys: those that it has live longer by one renewal, not for ever.
 */
export class PooledLease {
  readonly id: string
  readonly #ttlSeconds: number
  readonly #keyMs: number
  readonly #renewOnce: RenewOnce
  #expiresAt: number
  #keys = 0
  #underWay = 0
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

  /** Keys that were put with it. */
  get keys(): number {
    return this.#keys
  }

  /** Whether it takes another key, and lasts longer than that needs by `spareMs`. */
  lasts(spareMs: number): boolean {
    return !this.#isRetired && this.#leftMs() >= this.#keyMs + spareMs
  }

  /** Whether it takes another key, however little time is left. */
  exists(): boolean {
    return !this.#isRetired && this.#leftMs() > 0
  }

  /** A put with it begins. */
  enter(): void {
    this.#keys += 1
    this.#underWay += 1
    if (this.#underWay === 1) this.#planRenewal()
  }

  /** The put is over. */
  leave(): void {
    this.#underWay -= 1
    if (this.#underWay === 0) clearTimeout(this.#timer)
  }

  /** The cluster does not know it. */
  gone(): void {
    this.#isRetired = true
  }

  /**
   * The put was acknowledged. Returns nothing where its key has its whole time left; otherwise renews the lease, and
   * resolves to whether that still existed, and the key with it.
   */
  cover(options: CallOptions): Promise<boolean> | undefined {
    return this.#leftMs() >= this.#keyMs ? undefined : this.#cover(options)
  }

  async #cover(options: CallOptions): Promise<boolean> {
    if (!(await waitWithin(this.#lastUntil(performance.now() + this.#keyMs), options, renewalTimeout))) return false
    // The answer took longer than the lease outlasts its keys: one more renewal makes up for that.
    if (this.#leftMs() < this.#keyMs) this.#lastUntil(performance.now() + this.#keyMs).catch(() => {})
    return true
  }

  async #lastUntil(time: number): Promise<boolean> {
    while (this.#expiresAt < time) if (!(await this.#renew())) return false
    return true
  }

  /** One renewal for all that ask while it is under way. Resolves to whether the lease exists. */
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
      this.#expiresAt = Math.max(this.#expiresAt, sentAt + ttlSeconds * 1000)
      return true
    } catch (error) {
      if (isEtcdError(error, 'LEASE_NOT_FOUND')) return false
      throw error
    }
  }

  #planRenewal(): void {
    const delayMs = Math.max(minPauseMs, this.#leftMs() - this.#keyMs * renewalShare)
    this.#timer = setTimeout(() => void this.#renewForPuts(), delayMs)
    this.#timer.unref()
  }

  async #renewForPuts(): Promise<void> {
    const exists = await this.#renew().catch(() => true)
    if (exists && this.#underWay > 0) this.#planRenewal()
  }

  #leftMs(): number {
    return this.#expiresAt - performance.now()
  }
}
