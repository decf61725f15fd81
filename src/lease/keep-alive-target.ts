import type { LeaseLostReason } from './lease-lost-error.js'

/** A lease that the scheduler renews, or whose expiry it reports. Times are on the clock of `performance.now()`. */
export interface KeepAliveTarget {
  readonly id: string
  /** Whether it is renewed; otherwise only its expiry is reported. */
  readonly isKeptAlive: boolean
  /** The TTL, in milliseconds. */
  readonly ttlMs: number
  /** When to renew it next. */
  renewAt: number
  /** The earliest time at which it can expire. */
  readonly expiresAt: number
  /** A member has answered the renewal that was sent at `sentAt`. */
  answered(ttlSeconds: number, sentAt: number): void
  /** The stream was lost; another one is being opened. */
  interrupted(error: unknown): void
  /** It has ended, and is no longer scheduled. */
  end(reason: LeaseLostReason, cause: unknown): void
}
