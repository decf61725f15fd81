import type { Backoff } from '../core/backoff.js'
import { EtcdError, isEtcdError } from '../core/errors.js'
import { methods } from '../protobuf/methods.js'
import { ReconnectingStream } from '../streams/reconnecting-stream.js'
import type { StreamSource } from '../streams/stream-source.js'
import { Latency } from '../transport/connection/latency.js'
import { KeepAliveStream, type KeepAliveStreamHost } from './keep-alive-stream.js'
import type { KeepAliveTarget } from './keep-alive-target.js'
import type { LeaseEvents } from './lease-events.js'

/** What the streams need from the client. */
export interface KeepAliveStreamsClient {
  readonly streams: Pick<StreamSource, 'open' | 'hasOther' | 'refused' | 'used' | 'suspect'>
  readonly events: { emit<Name extends keyof LeaseEvents>(name: Name, payload: LeaseEvents[Name]): void }
  /** The highest raft term in any response; 0 if none is known. */
  raftTerm(): number
}

/** The scheduler of the renewals. */
export interface KeepAliveStreamsHost {
  /** How many leases are kept alive. */
  readonly keptAlive: number
  /** The shortest TTL among them. */
  readonly shortestTtlMs: number
  /** A stream is open: send the renewals that are due. */
  opened(): void
  /** A renewal was answered. Returns whether the lease is up to date, rather than due again. */
  answered(renewal: KeepAliveTarget, ttlSeconds: number, sentAt: number): boolean
  /** This user may not renew the lease. */
  refused(renewal: KeepAliveTarget, error: EtcdError): void
  /** Renewals have failed and must be sent again. */
  interrupted(error: unknown, isReopened: boolean): void
}

const backoff = { baseMs: 50, maxMs: 1000 }
/** How many streams may be open at a time. */
const maxStreams = 3
/** How long a renewal may stay unanswered before it is sent on another stream as well: a share of the shortest TTL. */
const patience = { share: 1 / 10, minMs: 250, maxMs: 1000, limitShare: 1 / 6, limitMs: 3000 }
/** A stream that is closed with a renewal unanswered for this long may be on a silent member. */
const suspiciousMs = 50

/**
 * The streams that renew the leases of one client: one, as long as it answers.
 *
 * If a renewal stays unanswered, further streams are opened in parallel, on other members if possible: a member whose leader
 * is silent does not answer on an open stream until that leader is back, but answers on a new stream as soon as another
 * leader is elected. The first stream that answers is kept and the others are closed. At most three are open at a time; the
 * oldest is closed for the next one.
 */
export class KeepAliveStreams implements KeepAliveStreamHost {
  readonly #client: KeepAliveStreamsClient
  readonly #host: KeepAliveStreamsHost
  readonly #latency = new Latency()
  /** The newest stream, on which renewals are sent. */
  readonly #stream: ReconnectingStream<KeepAliveStream>
  /** Earlier streams that have not answered, oldest first. */
  #silent: readonly KeepAliveStream[] = []
  /** Since when no stream has answered in time. */
  #silentFrom: number | undefined
  #lastError: unknown

  constructor(client: KeepAliveStreamsClient, host: KeepAliveStreamsHost) {
    this.#client = client
    this.#host = host
    this.#stream = new ReconnectingStream({
      streams: client.streams,
      create: () => new KeepAliveStream(this),
      backoff: () => this.#backoff(),
      onLost: (endpoint, error) =>
        client.events.emit('keepAliveLost', { endpoint, leases: this.#host.keptAlive, error }),
      onResumed: (endpoint, downMs) =>
        client.events.emit('keepAliveResumed', { endpoint, leases: this.#host.keptAlive, downMs }),
    })
  }

  /** Whether the stream works, as far as is known. */
  get isConnected(): boolean {
    return !this.#stream.isLost
  }

  /** Why renewals last failed; `undefined` while the stream works. */
  get lastError(): unknown {
    return this.#lastError
  }

  get raftTerm(): number {
    return this.#client.raftTerm()
  }

  /** All streams, oldest first. */
  get #streams(): readonly KeepAliveStream[] {
    const { current } = this.#stream
    return current === undefined ? this.#silent : [...this.#silent, current]
  }

  /** Opens a stream, unless there is one or a backoff is running. */
  start(): void {
    this.#stream.start()
  }

  /** Whether a stream is open on which this renewal is not pending. */
  takes(renewal: KeepAliveTarget): boolean {
    const { current } = this.#stream
    return current?.endpoint !== undefined && !current.isPending(renewal)
  }

  send(renewal: KeepAliveTarget, now: number): void {
    if (this.takes(renewal)) this.#stream.current?.send(renewal, now)
  }

  /** Closes all streams: no lease is kept alive any more. */
  rest(): void {
    const now = performance.now()
    for (const stream of this.#streams) {
      if (now - (stream.silentSince ?? now) > suspiciousMs) this.#suspect(stream)
      stream.close()
    }
    this.#stream.stop()
    this.#silent = []
    this.#silentFrom = undefined
    this.#lastError = undefined
  }

  /** This process did not run: the time until now does not count as silence. */
  excuse(now: number): void {
    for (const stream of this.#streams) stream.excuse(now)
  }

  /** Opens another stream if the newest has not answered in time. */
  review(now: number): void {
    const silent = this.#stream.current
    if (silent === undefined || now < this.reviewAt()) return
    const error = unanswered(silent)
    this.#silentFrom ??= silent.silentSince
    this.#suspect(silent)
    this.#lastError = error
    this.#stream.exclude(silent.endpoint)
    this.#stream.release(silent)
    this.#silent = [...this.#silent, silent]
    this.#host.interrupted(error, false)
    if (this.#silent.length < maxStreams) this.#stream.open()
    else this.#openInsteadOfOldest()
  }

  /** When to call `review()` next. */
  reviewAt(): number {
    const silentSince = this.#stream.current?.silentSince
    return silentSince === undefined ? Number.POSITIVE_INFINITY : silentSince + this.#patienceMs(silentSince)
  }

  opened(stream: KeepAliveStream): void {
    if (stream === this.#stream.current) this.#host.opened()
  }

  answered(stream: KeepAliveStream, target: KeepAliveTarget, ttlSeconds: number, sentAt: number): void {
    if (stream !== this.#stream.current && !this.#silent.includes(stream)) return
    const durationMs = performance.now() - sentAt
    const isUpToDate = this.#host.answered(target, ttlSeconds, sentAt)
    if (isUpToDate) this.#latency.sample(durationMs, 0)
    // An answer that was held for long does not show how the member is now: a stream that was opened later may be better.
    if (isUpToDate || stream === this.#stream.current) this.#works(stream)
  }

  lost(stream: KeepAliveStream, error: unknown): void {
    if (!this.#drop(stream)) return
    if (isEtcdError(error, 'STREAM_LIMIT') && this.#openInsteadOfOldest()) return
    // The member checks renewals in order, and ends the stream at the first lease that this user may not renew.
    if (isEtcdError(error, 'PERMISSION_DENIED') && stream.unanswered !== undefined) {
      this.#host.refused(stream.unanswered, error)
      if (this.#host.keptAlive > 0) this.start()
      return
    }
    if (this.#stream.replacesToken(stream, error)) {
      this.start()
      return
    }
    this.#lastError = error
    this.#stream.failed(stream.endpoint)
    this.#stream.reportLost(stream.endpoint, error)
    this.#host.interrupted(error, this.#stream.current === undefined)
  }

  draining(stream: KeepAliveStream): void {
    const { endpoint } = stream
    if (endpoint === undefined || !this.#client.streams.hasOther(endpoint) || !this.#drop(stream)) return
    stream.close()
    this.#stream.exclude(endpoint)
    this.start()
  }

  /** Closes the oldest silent stream and opens another one. Returns whether there is a silent one. */
  #openInsteadOfOldest(): boolean {
    const [oldest, ...others] = this.#silent
    if (oldest === undefined) return false
    this.#silent = others
    oldest.close()
    this.#stream.open()
    this.#stream.reportLost(oldest.endpoint, unanswered(oldest))
    return true
  }

  #works(stream: KeepAliveStream): void {
    this.#stream.markWorking(stream)
    this.#stream.markHealthy(stream)
    this.#silentFrom = undefined
    this.#lastError = undefined
    if (stream !== this.#stream.current || this.#silent.length > 0) this.#keepOnly(stream)
    this.#stream.reportResumed(stream.endpoint ?? '')
  }

  #keepOnly(stream: KeepAliveStream): void {
    const streams = this.#streams
    for (const other of streams) if (other !== stream) other.close()
    this.#silent = []
    this.#stream.adopt(stream)
    const [oldest] = streams
    if (oldest !== undefined && oldest !== stream) this.#stream.reportLost(oldest.endpoint, unanswered(oldest))
    // Renewals that the other streams have not answered are due on this one.
    this.#host.opened()
  }

  #drop(stream: KeepAliveStream): boolean {
    if (this.#stream.release(stream)) return true
    const others = this.#silent.filter((other) => other !== stream)
    if (others.length === this.#silent.length) return false
    this.#silent = others
    return true
  }

  /** Leaves time for several attempts before the shortest lease expires. */
  #backoff(): Backoff {
    const maxMs = Math.min(backoff.maxMs, this.#host.shortestTtlMs * patience.limitShare)
    return { baseMs: backoff.baseMs, maxMs: Math.max(backoff.baseMs, maxMs) }
  }

  /**
   * Short enough for several more attempts within the shortest TTL, but not shorter than responses usually take; it grows
   * with the duration of the silence.
   */
  #patienceMs(silentSince: number): number {
    const ttlMs = this.#host.shortestTtlMs
    const silentMs = silentSince - (this.#silentFrom ?? silentSince)
    const shareMs = Math.min(patience.maxMs, Math.max(patience.minMs, ttlMs * patience.share))
    const limitMs = Math.min(patience.limitMs, ttlMs * patience.limitShare)
    return Math.min(limitMs, Math.max(shareMs, this.#latency.fourTimesMs, silentMs / 4))
  }

  #suspect({ endpoint }: KeepAliveStream): void {
    if (endpoint !== undefined) this.#client.streams.suspect(endpoint)
  }
}

function unanswered({ endpoint }: KeepAliveStream): EtcdError {
  return new EtcdError('the member does not answer lease renewals', {
    code: 'CONNECTION_LOST',
    effect: 'unknown',
    retryable: true,
    endpoint,
    method: methods.Lease.LeaseKeepAlive.name,
  })
}
