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

/** A renewal that was answered. */
export interface LeaseRenewal {
  readonly leaseId: string
  readonly ttlSeconds: number
  /** From its sending to its answer. */
  readonly durationMs: number
  /** What was left of the lease when the answer came. */
  readonly slackMs: number
}

/** Renewals that are due so soon go along with those that are due now. */
const tickMs = 50
/** Later than this, a timer tells that this process did not run. */
const stallMs = 100

/** Errors by which members, or the source of tokens, refuse all renewals of this client. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'AUTH_FAILED',
  'AUTH_OLD_REVISION',
  'INVALID_AUTH_TOKEN',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
  'USER_EMPTY',
])

/**
 * Keeps all leases of one client alive: each is renewed after a third of its time, a short one sooner. Those that are due
 * together go out in one go, and none is asked for again on a stream that owes its answer.
 *
 * However long an answer takes, a lease ends here when its time is over, counted from the sending of the last renewal
 * that was answered: the server, which counts from a later moment, ends it after that.
 *
 * One timer serves all: what is due is found by going through the leases.
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

  /** Whether renewals get through, as far as is known. */
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

  /** Forgets it; an answer that is still to come changes nothing. */
  remove(renewal: KeepAliveTarget): void {
    if (!this.#targets.delete(renewal)) return
    if (renewal.isKeptAlive) this.#keptAlive -= 1
    if (this.#keptAlive === 0) {
      this.#streams.rest()
      this.#timer?.unref()
    }
    if (this.#targets.size === 0) this.#stopTimer()
  }

  /** Ends it if its time is over, for those who ask before the timer goes off. */
  check(renewal: KeepAliveTarget): void {
    const now = performance.now()
    if (now >= renewal.expiresAt && this.#targets.has(renewal)) this.#expire(renewal, now)
  }

  /** Ends all that have this ID: it was revoked here. */
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
      // Nobody knows how long the next stream lasts.
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

  /** When there is something to do next. Without an open stream, that is only to end leases. */
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
    // What was due before now does not make the timer late: only a timer that goes off late shows a stall.
    this.#plannedFor = Math.max(time, now)
    this.#timer = setTimeout(() => this.#tick(), delayMs)
    // Leases that are only watched for their end hold no process open.
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
    // Something was to be done before its end, and was not.
    const stalled = isKeptAlive && this.#isLate(now) && this.#plannedFor < expiresAt
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
