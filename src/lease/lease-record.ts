import type { KeepAliveTarget } from './keep-alive-target.js'
import { LeaseLostError, type LeaseLostReason } from './lease-lost-error.js'

/** What a record is made of. */
export interface LeaseRecordInit {
  readonly id: string
  /** What the server granted. */
  readonly ttlSeconds: number
  readonly isKeptAlive: boolean
  /** Until when it is certainly there, on the clock of `performance.now()`. */
  readonly expiresAt: number
  /** Called when it ends for another reason than a call of this client. */
  readonly onLost: (error: LeaseLostError) => void
}

/**
 * How far apart renewals are: a third of what one lasts, but so that what is left is enough for an election and some
 * attempts after it, in leases of 3 s too; never less than a sixth.
 */
const spacing = { share: 1 / 3, leftMs: 2500, minShare: 1 / 6 }

/** What is known of one lease that this client was granted. */
export class LeaseRecord implements KeepAliveTarget {
  readonly id: string
  readonly ttlSeconds: number
  readonly isKeptAlive: boolean
  readonly #onLost: (error: LeaseLostError) => void
  readonly #abort = new AbortController()
  renewAt: number
  #expiresAt: number
  #ended: LeaseLostReason | undefined

  constructor({ id, ttlSeconds, isKeptAlive, expiresAt, onLost }: LeaseRecordInit) {
    this.id = id
    this.ttlSeconds = ttlSeconds
    this.isKeptAlive = isKeptAlive
    this.#expiresAt = expiresAt
    this.#onLost = onLost
    this.renewAt = isKeptAlive ? expiresAt - this.ttlMs + spacingMs(this.ttlMs) : Number.POSITIVE_INFINITY
  }

  get ttlMs(): number {
    return this.ttlSeconds * 1000
  }

  get expiresAt(): number {
    return this.#expiresAt
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Why it is over; `undefined` while it is not. */
  get ended(): LeaseLostReason | undefined {
    return this.#ended
  }

  answered(ttlSeconds: number, sentAt: number): void {
    const ttlMs = ttlSeconds * 1000
    // Of renewals on several streams, the one that was sent first may be answered last.
    if (sentAt + ttlMs <= this.#expiresAt) return
    this.#expiresAt = sentAt + ttlMs
    this.renewAt = sentAt + spacingMs(ttlMs)
  }

  interrupted(): void {}

  /** It is over, for a reason that this client did not choose. */
  end(reason: LeaseLostReason, cause: unknown): void {
    if (this.#ended !== undefined) return
    const error = this.#finish(reason, cause)
    if (reason !== 'closed') this.#onLost(error)
  }

  /** Its holder has ended it. */
  give(reason: 'revoked' | 'closed'): void {
    if (this.#ended === undefined) this.#finish(reason, undefined)
  }

  #finish(reason: LeaseLostReason, cause: unknown): LeaseLostError {
    const error = new LeaseLostError(this.id, reason, cause)
    this.#ended = reason
    this.#abort.abort(error)
    return error
  }
}

function spacingMs(ttlMs: number): number {
  const { share, leftMs, minShare } = spacing
  return Math.max(ttlMs * minShare, Math.min(ttlMs * share, ttlMs - leftMs))
}
