import type { LeaseLostReason } from './lease-lost-error.js'

/** One that the scheduler keeps alive, or whose end it tells in time. All times are of `performance.now()`. */
export interface KeepAliveTarget {
  readonly id: string
  /** Whether it is renewed; otherwise only its end is told. */
  readonly isKeptAlive: boolean
  /** How long one renewal lasts. */
  readonly ttlMs: number
  /** When to renew it next. */
  renewAt: number
  /** Until when it is certainly there. */
  readonly expiresAt: number
  /** A member has renewed it, when asked at `sentAt`. */
  answered(ttlSeconds: number, sentAt: number): void
  /** The stream was lost; another one is opened. */
  interrupted(error: unknown): void
  /** It is over, and the scheduler has forgotten it. */
  end(reason: LeaseLostReason, cause: unknown): void
}
