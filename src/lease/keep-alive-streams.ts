import { halfJitterMs } from '../core/backoff.js'
import { EtcdError, isEtcdError } from '../core/errors.js'
import { methods } from '../protobuf/methods.js'
import type { StreamSource } from '../streams/stream-source.js'
import { Latency } from '../transport/connection/latency.js'
import { KeepAliveStream, type KeepAliveStreamHost } from './keep-alive-stream.js'
import type { KeepAliveTarget } from './keep-alive-target.js'
import type { LeaseEvents } from './lease-events.js'

/** What the streams need from the client. */
export interface KeepAliveStreamsClient {
  readonly streams: Pick<StreamSource, 'open' | 'hasOther' | 'refused' | 'used' | 'suspect'>
  readonly events: { emit<Name extends keyof LeaseEvents>(name: Name, payload: LeaseEvents[Name]): void }
  /** The highest raft term that any answer has shown; 0 while none is known. */
  raftTerm(): number
}

/** The owner of the renewals that go over the streams. */
export interface KeepAliveStreamsHost {
  /** How many renewals need a stream. */
  readonly keptAlive: number
  /** How long the shortest of them lasts. */
  readonly shortestTtlMs: number
  /** There is a stream to send what is due on. */
  opened(): void
  /** Takes in an answer. Returns whether the renewal is up to date with it, and not due again. */
  answered(renewal: KeepAliveTarget, ttlSeconds: number, sentAt: number): boolean
  /** The members do not renew it for this user. */
  refused(renewal: KeepAliveTarget, error: EtcdError): void
  /** Renewals have failed; they are sent again. */
  interrupted(error: unknown, isReopened: boolean): void
}

const backoff = { baseMs: 50, maxMs: 1000 }
/** Streams that are open at a time. */
const maxStreams = 3
/** Tokens that may be refused in a row and replaced at once. */
const maxRefusals = 3
/** How long an answer may be owed before the renewal goes out on another stream, too: a share of the time to live. */
const patience = { share: 1 / 10, minMs: 250, maxMs: 1000, limitShare: 1 / 6, limitMs: 3000 }
/** A stream that is closed while it owes an answer for this long may be on a member that is silent. */
const suspiciousMs = 50

/**
 * The streams that renew the leases of one client: one, as long as it answers.
 *
 * Where a renewal stays unanswered, another stream is opened beside the first, on another member where there is one, and
 * then another: a member whose leader has fallen silent answers nothing on an open stream until that leader is back, and
 * answers on a new one as soon as another leader is elected. The first stream that answers remains, the others are closed.
 * At most three are open at a time; the oldest makes room for the next.
 */
export class KeepAliveStreams implements KeepAliveStreamHost {
  readonly #client: KeepAliveStreamsClient
  readonly #host: KeepAliveStreamsHost
  readonly #excludedEndpoints = new Set<string>()
  readonly #latency = new Latency()
  /** Oldest first: renewals are sent on the last one. */
  #streams: readonly KeepAliveStream[] = []
  #reopening: NodeJS.Timeout | undefined
  #failures = 0
  #refusals = 0
  /** Since when no stream has answered in its time. */
  #silentFrom: number | undefined
  #lostAt: number | undefined
  #lastError: unknown

  constructor(client: KeepAliveStreamsClient, host: KeepAliveStreamsHost) {
    this.#client = client
    this.#host = host
  }

  /** Whether renewals get through, as far as is known. */
  get isConnected(): boolean {
    return this.#lostAt === undefined
  }

  /** Why renewals did not get through last; `undefined` when they do. */
  get lastError(): unknown {
    return this.#lastError
  }

  get raftTerm(): number {
    return this.#client.raftTerm()
  }

  /** The stream that renewals are sent on, once it is open. */
  get #current(): KeepAliveStream | undefined {
    const newest = this.#streams.at(-1)
    return newest?.endpoint === undefined ? undefined : newest
  }

  /** Opens a stream, unless there is one that owes no answer, or will be. */
  start(): void {
    if (!this.#isServed() && this.#reopening === undefined) this.#open()
  }

  /** Whether there is an open stream that does not owe the answer to this renewal. */
  takes(renewal: KeepAliveTarget): boolean {
    return this.#current?.isPending(renewal) === false
  }

  send(renewal: KeepAliveTarget, now: number): void {
    if (this.takes(renewal)) this.#current?.send(renewal, now)
  }

  /** Closes everything: no renewal is left that needs a stream. */
  rest(): void {
    this.#stopReopening()
    const now = performance.now()
    for (const stream of this.#streams) {
      if (now - (stream.silentSince ?? now) > suspiciousMs) this.#suspect(stream)
      stream.close()
    }
    this.#streams = []
    this.#failures = 0
    this.#refusals = 0
    this.#silentFrom = undefined
    this.#lostAt = undefined
    this.#lastError = undefined
    this.#excludedEndpoints.clear()
  }

  /** This process itself did not listen: the members get their time anew. */
  excuse(now: number): void {
    for (const stream of this.#streams) stream.excuse(now)
  }

  /** Opens another stream where the last one owes an answer for too long. */
  review(now: number): void {
    if (now < this.reviewAt()) return
    const silent = this.#current
    if (silent === undefined) return
    const error = this.#unanswered(silent)
    this.#silentFrom ??= silent.silentSince
    this.#suspect(silent)
    this.#note(silent.endpoint, error)
    this.#host.interrupted(error, false)
    this.#open()
  }

  /** When to call `review()` next. */
  reviewAt(): number {
    const silentSince = this.#current?.silentSince
    if (silentSince === undefined || this.#reopening !== undefined) return Number.POSITIVE_INFINITY
    return silentSince + this.#patienceMs(silentSince)
  }

  opened(stream: KeepAliveStream): void {
    if (stream === this.#current) this.#host.opened()
  }

  answered(stream: KeepAliveStream, renewal: KeepAliveTarget, ttlSeconds: number, sentAt: number): void {
    if (!this.#streams.includes(stream)) return
    const durationMs = performance.now() - sentAt
    const isUpToDate = this.#host.answered(renewal, ttlSeconds, sentAt)
    if (isUpToDate) this.#latency.sample(durationMs, 0)
    // What was held for long says nothing of how the member is now: a stream that was opened later may be better.
    if (isUpToDate || stream === this.#current) this.#works(stream)
  }

  lost(stream: KeepAliveStream, error: unknown): void {
    if (!this.#drop(stream)) return
    if (isEtcdError(error, 'STREAM_LIMIT') && this.#makesRoom()) return
    const { unanswered } = stream
    // Renewals are checked one after the other, and the stream ends with the first that this user may not renew.
    if (isEtcdError(error, 'PERMISSION_DENIED') && unanswered !== undefined) {
      this.#host.refused(unanswered, error)
      if (this.#host.keptAlive > 0) this.start()
      return
    }
    if (this.#replacesToken(stream, error)) {
      this.start()
      return
    }
    this.#failures += 1
    this.#note(stream.endpoint, error)
    this.#emitLost(stream.endpoint, error)
    this.#host.interrupted(error, !this.#isServed())
    if (this.#host.keptAlive > 0 && !this.#isServed()) this.#reopenAfter(this.#delayMs(stream.endpoint))
  }

  leaving(stream: KeepAliveStream): void {
    const { endpoint } = stream
    if (endpoint === undefined || !this.#client.streams.hasOther(endpoint) || !this.#drop(stream)) return
    this.#excludedEndpoints.add(endpoint)
    stream.close()
    this.start()
  }

  #open(): void {
    this.#stopReopening()
    const [oldest] = this.#streams
    if (oldest !== undefined && this.#streams.length >= maxStreams) this.#abandon(oldest)
    const stream = new KeepAliveStream(this)
    this.#streams = [...this.#streams, stream]
    void stream.open(this.#client.streams, this.#excludedEndpoints)
  }

  /** Where the members allow no further stream, the oldest makes room. Returns whether there is one. */
  #makesRoom(): boolean {
    const [oldest] = this.#streams
    if (oldest === undefined) return false
    this.#abandon(oldest)
    this.#open()
    return true
  }

  #works(stream: KeepAliveStream): void {
    if (stream.opened !== undefined) this.#client.streams.used(stream.opened)
    this.#failures = 0
    this.#refusals = 0
    this.#silentFrom = undefined
    if (this.#streams.length > 1) this.#closeOthers(stream)
    this.#stopReopening()
    this.#lastError = undefined
    this.#excludedEndpoints.clear()
    this.#emitResumed(stream.endpoint ?? '')
  }

  #closeOthers(stream: KeepAliveStream): void {
    const streams = this.#streams
    const index = streams.indexOf(stream)
    for (const older of streams.slice(0, index)) this.#abandon(older)
    for (const newer of streams.slice(index + 1)) this.#close(newer)
    // What they have not answered is due here.
    this.#host.opened()
  }

  /** Gives up a stream that has not answered in its time. */
  #abandon(stream: KeepAliveStream): void {
    if (!this.#close(stream)) return
    this.#emitLost(stream.endpoint, this.#unanswered(stream))
  }

  #close(stream: KeepAliveStream): boolean {
    stream.close()
    return this.#drop(stream)
  }

  #drop(stream: KeepAliveStream): boolean {
    const rest = this.#streams.filter((other) => other !== stream)
    if (rest.length === this.#streams.length) return false
    this.#streams = rest
    return true
  }

  /** Whether there is a stream, or will be, that does not owe an answer. */
  #isServed(): boolean {
    const newest = this.#streams.at(-1)
    return newest !== undefined && newest.silentSince === undefined
  }

  #delayMs(endpoint: string | undefined): number {
    const isElsewhere = this.#failures === 1 && endpoint !== undefined && this.#client.streams.hasOther(endpoint)
    if (isElsewhere) return 0
    const maxMs = Math.min(backoff.maxMs, this.#host.shortestTtlMs * patience.limitShare)
    return halfJitterMs(this.#failures, { ...backoff, maxMs: Math.max(backoff.baseMs, maxMs) })
  }

  #reopenAfter(delayMs: number): void {
    clearTimeout(this.#reopening)
    this.#reopening = setTimeout(() => this.#open(), delayMs)
  }

  #stopReopening(): void {
    clearTimeout(this.#reopening)
    this.#reopening = undefined
  }

  /**
   * Soon enough for several more attempts within the time of the shortest lease, though not sooner than answers usually
   * take; less often the longer the silence lasts.
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

  /** The next stream goes to another member; where all have failed, to another one than the last. */
  #note(endpoint: string | undefined, error: unknown): void {
    this.#lastError = error
    if (endpoint === undefined) return
    if (!this.#client.streams.hasOther(endpoint, this.#excludedEndpoints)) this.#excludedEndpoints.clear()
    this.#excludedEndpoints.add(endpoint)
  }

  /** A token that has expired takes no more than a new one, and a new stream. */
  #replacesToken({ opened }: KeepAliveStream, error: unknown): boolean {
    if (opened === undefined || !isEtcdError(error) || !this.#client.streams.refused(opened, error)) return false
    this.#refusals += 1
    return this.#refusals <= maxRefusals && this.#host.keptAlive > 0
  }

  #emitLost(endpoint: string | undefined, error: unknown): void {
    if (this.#lostAt !== undefined || this.#host.keptAlive === 0) return
    this.#lostAt = performance.now()
    this.#client.events.emit('keepAliveLost', { endpoint, leases: this.#host.keptAlive, error })
  }

  #emitResumed(endpoint: string): void {
    if (this.#lostAt === undefined) return
    const downMs = performance.now() - this.#lostAt
    this.#lostAt = undefined
    this.#client.events.emit('keepAliveResumed', { endpoint, leases: this.#host.keptAlive, downMs })
  }

  #unanswered({ endpoint }: KeepAliveStream): EtcdError {
    return new EtcdError('the member leaves renewals of leases unanswered', {
      code: 'CONNECTION_LOST',
      effect: 'unknown',
      retryable: true,
      endpoint,
      method: methods.Lease.LeaseKeepAlive.name,
    })
  }
}
