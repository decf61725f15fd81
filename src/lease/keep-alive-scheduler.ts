import { longestTimerMs } from '../core/abort.js'
import { type ErrorCode, type EtcdError, isEtcdError } from '../core/errors.js'
import { KeepAliveStreams, type KeepAliveStreamsClient, type KeepAliveStreamsHost } from './keep-alive-streams.js'
import type { KeepAliveTarget } from './keep-alive-target.js'
import type { LeaseLostReason } from './lease-lost-error.js'

/** What the scheduler needs from its client. */
export interface KeepAliveSchedulerHost extends KeepAliveStreamsClient {
  /** A lease was renewed. */
  renewed?(renewed: LeaseRenewal): void
}

/** An answered renewal. */
export interface LeaseRenewal {
  readonly leaseId: string
  readonly ttlSeconds: number
  /** From the request to the response. */
  readonly durationMs: number
  /** The remaining time of the lease when the response arrived. */
  readonly slackMs: number
}

/** Renewals that are due within this time are sent together with those that are due now. */
const tickMs = 50
/** A timer that fires later than this shows that the process did not run. */
const stallMs = 100

/** Errors with which members, or the token source, refuse all renewals of this client. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'AUTH_FAILED',
  'AUTH_OLD_REVISION',
  'INVALID_AUTH_TOKEN',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
  'USER_EMPTY',
])

/**
 * Keeps all leases of one client alive. Each is renewed after almost a third of its TTL, a short one sooner. Renewals that are due
 * together are sent together, and none is repeated on a stream that has not answered it yet.
 *
 * A lease is lost here when its TTL has passed since the last answered renewal was sent, however late the answer was. The
 * server counts from a later moment, so it expires the lease after that.
 *
 * One timer serves all leases; what is due is found by scanning them.
 */
export class KeepAliveScheduler implements KeepAliveStreamsHost {
  readonly #host: KeepAliveSchedulerHost
  readonly #targets = new Set<KeepAliveTarget>()
  readonly #streams: KeepAliveStreams
  #timer: NodeJS.Timeout | undefined
  #plannedFor = Number.POSITIVE_INFINITY
  #keptAlive = 0
  #isClosed = false

  constructor(host: KeepAliveSchedulerHost) {
    this.#host = host
    this.#streams = new KeepAliveStreams(host, this)
  }

  /** Whether the keep-alive stream works, as far as is known. */
  get isConnected(): boolean {
    return this.#streams.isConnected
  }

  /** How many leases are kept alive. */
  get keptAlive(): number {
    return this.#keptAlive
  }

  get shortestTtlMs(): number {
    let shortestMs = Number.POSITIVE_INFINITY
    for (const { isKeptAlive, ttlMs } of this.#targets) if (isKeptAlive) shortestMs = Math.min(shortestMs, ttlMs)
    return shortestMs
  }

  add(renewal: KeepAliveTarget): void {
    if (this.#isClosed) {
      renewal.end('closed', undefined)
      return
    }
    this.#targets.add(renewal)
    if (renewal.isKeptAlive) {
      this.#keptAlive += 1
      this.#timer?.ref()
      if (this.#keptAlive === 1) this.#streams.start()
    }
    this.#planBy(Math.min(renewal.renewAt, renewal.expiresAt))
  }

  /** Removes it; a response that arrives later is ignored. */
  remove(renewal: KeepAliveTarget): void {
    if (!this.#targets.delete(renewal)) return
    if (renewal.isKeptAlive) this.#keptAlive -= 1
    if (this.#keptAlive === 0) {
      this.#streams.rest()
      this.#timer?.unref()
    }
    if (this.#targets.size === 0) this.#stopTimer()
  }

  /** Ends it if it has expired, also before the timer fires. */
  check(renewal: KeepAliveTarget): void {
    const now = performance.now()
    if (now >= renewal.expiresAt) this.#expire(renewal, now)
  }

  /** Ends all targets with this lease ID: the lease was revoked. */
  revoked(id: string): void {
    for (const renewal of [...this.#targets]) if (renewal.id === id) this.#end(renewal, 'revoked', undefined)
  }

  close(): void {
    this.#isClosed = true
    for (const renewal of [...this.#targets]) this.#end(renewal, 'closed', undefined)
  }

  opened(): void {
    this.#tick()
  }

  answered(renewal: KeepAliveTarget, ttlSeconds: number, sentAt: number): boolean {
    if (!this.#targets.has(renewal)) return false
    const now = performance.now()
    if (ttlSeconds <= 0) {
      if (now < renewal.expiresAt) this.#end(renewal, 'revoked', undefined)
      else this.#expire(renewal, now)
      return true
    }
    const slackMs = renewal.expiresAt - now
    renewal.answered(ttlSeconds, sentAt)
    this.#host.renewed?.({ leaseId: renewal.id, ttlSeconds, durationMs: now - sentAt, slackMs })
    this.#planBy(Math.min(renewal.renewAt, renewal.expiresAt))
    return renewal.renewAt > now
  }

  refused(renewal: KeepAliveTarget, error: EtcdError): void {
    this.#end(renewal, 'refused', error)
  }

  interrupted(error: unknown, isReopened: boolean): void {
    for (const renewal of [...this.#targets]) {
      if (!renewal.isKeptAlive) continue
      // The next stream may be lost soon: renew at once.
      if (isReopened) renewal.renewAt = 0
      renewal.interrupted(error)
    }
  }

  #tick(): void {
    const now = performance.now()
    if (this.#isLate(now)) this.#streams.excuse(now)
    for (const renewal of this.#targets) {
      if (now >= renewal.expiresAt) this.#expire(renewal, now)
      else if (renewal.isKeptAlive && renewal.renewAt <= now + tickMs) this.#streams.send(renewal, now)
    }
    this.#stopTimer()
    this.#streams.review(now)
    if (this.#targets.size > 0) this.#planBy(this.#next())
  }

  /** When the next action is due. Without an open stream, that is only the expiry of leases. */
  #next(): number {
    let next = this.#streams.reviewAt()
    for (const renewal of this.#targets) {
      const isToSend = renewal.isKeptAlive && this.#streams.takes(renewal)
      next = Math.min(next, renewal.expiresAt, isToSend ? renewal.renewAt : Number.POSITIVE_INFINITY)
    }
    return next
  }

  #planBy(time: number): void {
    if (time >= this.#plannedFor) return
    clearTimeout(this.#timer)
    const now = performance.now()
    const delayMs = Math.min(longestTimerMs, Math.max(1, Math.ceil(time - now)))
    // An action that was due earlier does not make the timer late: only a timer that fires late shows a stall.
    this.#plannedFor = Math.max(time, now)
    this.#timer = setTimeout(() => this.#tick(), delayMs)
    // Leases that are not kept alive do not hold the process open.
    if (this.#keptAlive === 0) this.#timer.unref()
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#plannedFor = Number.POSITIVE_INFINITY
  }

  #isLate(now: number): boolean {
    return now - this.#plannedFor > stallMs
  }

  #expire(renewal: KeepAliveTarget, now: number): void {
    const { isKeptAlive, expiresAt } = renewal
    if (!isKeptAlive) {
      this.#end(renewal, 'expired', undefined)
      return
    }
    // An action before the expiry was due and did not happen.
    const stalled = this.#isLate(now) && this.#plannedFor < expiresAt
    const { lastError } = this.#streams
    this.#end(renewal, stalled ? 'stalled' : isRefusal(lastError) ? 'refused' : 'expired', lastError)
  }

  #end(renewal: KeepAliveTarget, reason: LeaseLostReason, cause: unknown): void {
    this.remove(renewal)
    renewal.end(reason, cause)
  }
}

function isRefusal(error: unknown): boolean {
  return isEtcdError(error) && refusals.has(error.code)
}
