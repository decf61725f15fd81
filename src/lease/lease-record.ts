import type { KeepAliveTarget } from './keep-alive-target.js'
import { LeaseLostError, type LeaseLostReason } from './lease-lost-error.js'

/** The initial state of a record. */
export interface LeaseRecordInit {
  readonly id: string
  /** The granted TTL. */
  readonly ttlSeconds: number
  readonly isKeptAlive: boolean
  /** The earliest time at which it can expire, on the clock of `performance.now()`. */
  readonly expiresAt: number
  /** Called when the lease is lost for another reason than a call of this client. */
  readonly onLost: (error: LeaseLostError) => void
}

/**
 * The interval between renewals: almost a third of the TTL, but short enough that the remaining time suffices for an election
 * and several attempts after it, also with a TTL of 3 s; at least a sixth. The share differs between processes, so that the
 * renewals of clients that have connected at the same time drift apart.
 */
const spacing = { share: (1 - Math.random() / 10) / 3, leftMs: 2500, minShare: 1 / 6 }

/** The state of one lease that was granted to this client. */
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

  /** Why it was lost or ended; `undefined` while it has not. */
  get ended(): LeaseLostReason | undefined {
    return this.#ended
  }

  answered(ttlSeconds: number, sentAt: number): void {
    const ttlMs = ttlSeconds * 1000
    // With several streams, the renewal that was sent first may be answered last.
    if (sentAt + ttlMs <= this.#expiresAt) return
    this.#expiresAt = sentAt + ttlMs
    this.renewAt = sentAt + spacingMs(ttlMs)
  }

  interrupted(): void {}

  /** The lease was lost, or the client was closed. */
  end(reason: LeaseLostReason, cause: unknown): void {
    if (this.#ended !== undefined) return
    const error = this.#finish(reason, cause)
    if (reason !== 'closed') this.#onLost(error)
  }

  /** The holder of the lease has ended it. */
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
