import { longestTimerMs } from '../core/abort.js'
import { halfJitterMs } from '../core/backoff.js'
import { type ErrorCode, EtcdError, isEtcdError } from '../core/errors.js'
import type { ResponseHeader } from '../gen/messages.js'
import type { StreamSource } from '../layers/stream-source.js'
import { KeepAliveStream, type KeepAliveStreamHost } from './keep-alive-stream.js'
import type { LeaseLostError, LeaseLostReason } from './lease-lost-error.js'
import type { Renewal } from './renewal.js'

/** What a client's events say about its leases. */
export interface LeaseEvents {
  /** A lease can no longer be relied on, for another reason than a call of this client. */
  leaseLost: { readonly leaseId: string; readonly reason: LeaseLostReason; readonly error: LeaseLostError }
  /** The stream that renews the leases was lost; another one is opened, and nothing is lost yet. */
  keepAliveLost: { readonly endpoint: string | undefined; readonly leases: number; readonly error: unknown }
  /** Leases are renewed again. */
  keepAliveResumed: { readonly endpoint: string; readonly leases: number; readonly downMs: number }
}

/** What the hub needs from its client. */
export interface KeepAliveHost {
  readonly streams: Pick<StreamSource, 'open' | 'hasOther' | 'refused' | 'used'>
  readonly events: { emit<Name extends keyof LeaseEvents>(name: Name, payload: LeaseEvents[Name]): void }
  /** Takes in the header of an answer. Returns the error of one that belongs to another cluster. */
  observe(header: ResponseHeader | undefined, endpoint: string): EtcdError | undefined
  /** A lease was renewed. */
  renewed?(renewed: Renewed): void
}

/** A renewal that was answered. */
export interface Renewed {
  readonly leaseId: string
  readonly ttlSeconds: number
  /** From its sending to its answer. */
  readonly durationMs: number
  /** What was left of the lease when the answer came. */
  readonly slackMs: number
}

const backoff = { baseMs: 50, maxMs: 1000 }
/** Renewals that are due so soon go along with those that are due now. */
const tickMs = 50
/** Later than this, a timer tells that this process did not run. */
const stallMs = 100
/** Longest time that a member may leave renewals unanswered before another one is tried. */
const mostPatienceMs = 3000
/** Tokens that may be refused in a row and replaced at once. */
const maxRefusals = 3

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
 * Keeps all leases of one client alive, by one stream: each is renewed after a third of its time, those that are due
 * together in one go, and none is asked for again while its answer is outstanding.
 *
 * A stream that ends, or owes answers for too long, is replaced by one on another member, on which all are renewed at
 * once. However long that takes, a lease ends here when its time is over, counted from the sending of the last renewal
 * that was answered: the server, which counts from a later moment, ends it after that.
 *
 * One timer serves all: what is due is found by going through the leases.
 */
export class KeepAliveHub implements KeepAliveStreamHost {
  readonly #host: KeepAliveHost
  readonly #renewals = new Set<Renewal>()
  readonly #failedOn = new Set<string>()
  #stream: KeepAliveStream | undefined
  #reopening: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #plannedFor = Number.POSITIVE_INFINITY
  #keptAlive = 0
  #failures = 0
  #refusals = 0
  #lostAt: number | undefined
  #lastError: unknown
  #isClosed = false

  constructor(host: KeepAliveHost) {
    this.#host = host
  }

  /** Whether renewals get through, as far as is known. */
  get isConnected(): boolean {
    return this.#lostAt === undefined
  }

  /** How many leases are kept alive. */
  get keptAlive(): number {
    return this.#keptAlive
  }

  add(renewal: Renewal): void {
    if (this.#isClosed) {
      renewal.end('closed', undefined)
      return
    }
    this.#renewals.add(renewal)
    if (renewal.isKeptAlive) {
      this.#keptAlive += 1
      this.#timer?.ref()
      if (this.#stream === undefined && this.#reopening === undefined) this.#open()
    }
    this.#planBy(Math.min(renewal.renewAt, renewal.expiresAt))
  }

  /** Forgets it; an answer that is still to come changes nothing. */
  remove(renewal: Renewal): void {
    if (!this.#renewals.delete(renewal)) return
    if (renewal.isKeptAlive) this.#keptAlive -= 1
    if (this.#keptAlive === 0) this.#rest()
    if (this.#renewals.size === 0) this.#stopTimer()
  }

  /** Ends it if its time is over, for those who ask before the timer goes off. */
  check(renewal: Renewal): void {
    const now = performance.now()
    if (now >= renewal.expiresAt && this.#renewals.has(renewal)) this.#expire(renewal, now)
  }

  /** Ends all that have this ID: it was revoked here. */
  revoked(id: string): void {
    for (const renewal of [...this.#renewals]) if (renewal.id === id) this.#end(renewal, 'revoked', undefined)
  }

  close(): void {
    this.#isClosed = true
    for (const renewal of [...this.#renewals]) this.#end(renewal, 'closed', undefined)
  }

  observe(header: ResponseHeader | undefined, endpoint: string): EtcdError | undefined {
    return this.#host.observe(header, endpoint)
  }

  opened(stream: KeepAliveStream): void {
    if (stream === this.#stream) this.#tick()
  }

  answered(stream: KeepAliveStream, renewal: Renewal, ttlSeconds: number, sentAt: number): void {
    this.#works(stream)
    if (!this.#renewals.has(renewal)) return
    const now = performance.now()
    if (ttlSeconds <= 0) {
      if (now < renewal.expiresAt) this.#end(renewal, 'revoked', undefined)
      else this.#expire(renewal, now)
      return
    }
    const slackMs = renewal.expiresAt - now
    renewal.answered(ttlSeconds, sentAt)
    this.#host.renewed?.({ leaseId: renewal.id, ttlSeconds, durationMs: now - sentAt, slackMs })
    this.#planBy(Math.min(renewal.renewAt, renewal.expiresAt))
  }

  lost(stream: KeepAliveStream, error: unknown): void {
    if (stream !== this.#stream) return
    this.#stream = undefined
    const { unanswered } = stream
    // Renewals are checked one after the other, and the stream ends with the first that this user may not renew.
    if (isEtcdError(error, 'PERMISSION_DENIED') && unanswered !== undefined) {
      this.#end(unanswered, 'refused', error)
      if (this.#keptAlive > 0) this.#open()
      return
    }
    if (this.#replacesToken(stream, error)) {
      this.#open()
      return
    }
    this.#failures += 1
    this.#tellLost(stream.endpoint, error)
    if (this.#keptAlive === 0) return
    const elsewhere =
      this.#failures === 1 && stream.endpoint !== undefined && this.#host.streams.hasOther(stream.endpoint)
    const delayMs = elsewhere ? 0 : halfJitterMs(this.#failures, backoff)
    this.#reopening = setTimeout(() => this.#open(), delayMs)
  }

  leaving(stream: KeepAliveStream): void {
    const { endpoint } = stream
    if (endpoint === undefined || stream !== this.#stream || !this.#host.streams.hasOther(endpoint)) return
    this.#failedOn.add(endpoint)
    stream.close()
    this.#open()
  }

  #open(): void {
    clearTimeout(this.#reopening)
    this.#reopening = undefined
    const stream = new KeepAliveStream(this)
    // Nobody knows how long the next one lasts. What was outstanding on the last one is still due.
    if (this.#failures > 0) for (const renewal of this.#renewals) if (renewal.isKeptAlive) renewal.renewAt = 0
    this.#stream = stream
    void stream.open(this.#host.streams, this.#failedOn)
  }

  /** No lease is left that needs a stream. */
  #rest(): void {
    clearTimeout(this.#reopening)
    this.#reopening = undefined
    this.#stream?.close()
    this.#stream = undefined
    this.#failures = 0
    this.#refusals = 0
    this.#lostAt = undefined
    this.#lastError = undefined
    this.#failedOn.clear()
    this.#timer?.unref()
  }

  #works(stream: KeepAliveStream): void {
    if (stream.opened !== undefined) this.#host.streams.used(stream.opened)
    this.#failures = 0
    this.#refusals = 0
    this.#lastError = undefined
    this.#failedOn.clear()
    if (this.#lostAt === undefined) return
    const downMs = performance.now() - this.#lostAt
    this.#lostAt = undefined
    const endpoint = stream.endpoint ?? ''
    this.#host.events.emit('keepAliveResumed', { endpoint, leases: this.#keptAlive, downMs })
  }

  /** A token that has expired takes no more than a new one, and a new stream. */
  #replacesToken({ opened }: KeepAliveStream, error: unknown): boolean {
    if (opened === undefined || !isEtcdError(error) || !this.#host.streams.refused(opened, error)) return false
    this.#refusals += 1
    return this.#refusals <= maxRefusals && this.#keptAlive > 0
  }

  #tellLost(endpoint: string | undefined, error: unknown): void {
    this.#lastError = error
    if (endpoint !== undefined) this.#failedOn.add(endpoint)
    for (const renewal of [...this.#renewals]) if (renewal.isKeptAlive) renewal.interrupted(error)
    if (this.#lostAt !== undefined || this.#keptAlive === 0) return
    this.#lostAt = performance.now()
    this.#host.events.emit('keepAliveLost', { endpoint, leases: this.#keptAlive, error })
  }

  #tick(): void {
    const now = performance.now()
    const stream = this.#stream
    if (this.#isLate(now)) stream?.excuse(now)
    for (const renewal of this.#renewals) {
      if (now >= renewal.expiresAt) this.#expire(renewal, now)
      else if (renewal.isKeptAlive && renewal.renewAt <= now + tickMs && stream?.isPending(renewal) === false)
        stream.send(renewal, now)
    }
    this.#stopTimer()
    if (stream !== undefined && stream === this.#stream) this.#leaveIfSilent(stream, now)
    if (this.#renewals.size > 0) this.#planBy(this.#next())
  }

  #leaveIfSilent(stream: KeepAliveStream, now: number): void {
    const { silentSince, endpoint } = stream
    if (silentSince === undefined || now < silentSince + this.#patienceMs()) return
    stream.close()
    const error = new EtcdError('the member leaves renewals of leases unanswered', {
      code: 'CONNECTION_LOST',
      effect: 'unknown',
      retryable: true,
      endpoint,
      method: 'Lease.LeaseKeepAlive',
    })
    this.lost(stream, error)
  }

  /** As long as the renewals of the shortest lease are apart. */
  #patienceMs(): number {
    let patienceMs = mostPatienceMs
    for (const { isKeptAlive, ttlMs } of this.#renewals) if (isKeptAlive) patienceMs = Math.min(patienceMs, ttlMs / 3)
    return patienceMs
  }

  /** When there is something to do next. Without an open stream, that is only to tell the end of leases. */
  #next(): number {
    const stream = this.#stream?.endpoint === undefined ? undefined : this.#stream
    let next = Number.POSITIVE_INFINITY
    for (const renewal of this.#renewals) {
      const sends = stream !== undefined && renewal.isKeptAlive && !stream.isPending(renewal)
      next = Math.min(next, renewal.expiresAt, sends ? renewal.renewAt : Number.POSITIVE_INFINITY)
    }
    const silentSince = stream?.silentSince
    return silentSince === undefined ? next : Math.min(next, silentSince + this.#patienceMs())
  }

  #planBy(time: number): void {
    if (time >= this.#plannedFor) return
    clearTimeout(this.#timer)
    const delayMs = Math.min(longestTimerMs, Math.max(1, Math.ceil(time - performance.now())))
    this.#plannedFor = time
    this.#timer = setTimeout(() => this.#tick(), delayMs)
    // Leases that are only to be told of hold no process open.
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

  #expire(renewal: Renewal, now: number): void {
    const { isKeptAlive, expiresAt } = renewal
    // Something was to be done before its end, and was not.
    const stalled = isKeptAlive && this.#isLate(now) && this.#plannedFor < expiresAt
    this.#end(renewal, stalled ? 'stalled' : this.#isRefused() ? 'refused' : 'expired', this.#lastError)
  }

  #isRefused(): boolean {
    return isEtcdError(this.#lastError) && refusals.has(this.#lastError.code)
  }

  #end(renewal: Renewal, reason: LeaseLostReason, cause: unknown): void {
    this.remove(renewal)
    renewal.end(reason, cause)
  }
}
