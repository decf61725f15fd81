import { type Backoff, halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import type { BidiStream } from './bidi-stream.js'
import type { StreamSource } from './stream-source.js'

/** The part of a `BidiStream` that reconnecting needs. */
export type StreamAttempt = Pick<BidiStream<never, never>, 'endpoint' | 'opened' | 'open' | 'close'>

/** What a reconnecting stream needs from its owner. */
export interface ReconnectingStreamHost<Stream> {
  readonly streams: Pick<StreamSource, 'open' | 'hasOther' | 'refused' | 'used'>
  /** Makes the next stream, which is then opened. */
  create(): Stream
  /** The wait before a stream is opened again where no other member is available. */
  backoff(): Backoff
  /** The first loss since the stream worked. */
  onLost(endpoint: string | undefined, error: unknown): void
  /** It works again, `downMs` after that loss. */
  onResumed(endpoint: string, downMs: number): void
}

/** A stream that has worked for this long ends a row of failures; one that always breaks at once does not. */
const healthyMs = 1000
/** Refused tokens in a row that are replaced at once, without a backoff. */
const maxRefusals = 3

/**
 * A stream that is opened again when it is lost: at once on another member after the first failure, otherwise after a
 * backoff with jitter. There is at most one at a time.
 *
 * It knows nothing of what the stream carries. Its owner handles the events of each stream, decides which of them are
 * failures, and sends again what the next stream needs.
 */
export class ReconnectingStream<Stream extends StreamAttempt> {
  readonly #host: ReconnectingStreamHost<Stream>
  /** Members on which a stream was lost since one worked. */
  readonly #excludedEndpoints = new Set<string>()
  #current: Stream | undefined
  #reopening: NodeJS.Timeout | undefined
  /** Streams in a row that were lost before they were healthy. */
  #failures = 0
  #refusals = 0
  #worksSince: number | undefined
  #lostAt: number | undefined

  constructor(host: ReconnectingStreamHost<Stream>) {
    this.#host = host
  }

  /** The stream that is open or being opened; `undefined` during a backoff, and while none is needed. */
  get current(): Stream | undefined {
    return this.#current
  }

  /** Whether a loss was reported, and no stream has worked since. */
  get isLost(): boolean {
    return this.#lostAt !== undefined
  }

  /** Opens a stream, unless there is one or a backoff is running. */
  start(): void {
    if (this.#current === undefined && this.#reopening === undefined) this.open()
  }

  /** Opens a stream now. The owner has released or closed the one before. */
  open(): void {
    this.#stopBackoff()
    this.#current = this.#host.create()
    void this.#current.open(this.#host.streams, this.#excludedEndpoints)
  }

  /** Closes the stream and forgets all failures. */
  stop(): void {
    this.#stopBackoff()
    this.#current?.close()
    this.#current = undefined
    this.#excludedEndpoints.clear()
    this.#failures = 0
    this.#refusals = 0
    this.#worksSince = undefined
    this.#lostAt = undefined
  }

  /** Lets go of `stream` if it is the current one, and returns whether it was. */
  release(stream: Stream): boolean {
    if (stream !== this.#current) return false
    this.#current = undefined
    return true
  }

  /** Makes an open stream the current one. */
  adopt(stream: Stream): void {
    this.#stopBackoff()
    this.#current = stream
  }

  /** Closes the current stream and opens the next one at once, on another member where there is a choice. */
  replace(): void {
    const { endpoint } = this.#current ?? {}
    this.#current?.close()
    this.#worksSince = undefined
    this.exclude(endpoint)
    this.open()
  }

  /** The member has answered on `stream`. */
  markWorking(stream: Stream): void {
    this.#use(stream)
    this.#worksSince ??= performance.now()
    this.#refusals = 0
    this.#excludedEndpoints.clear()
  }

  /** `stream` has brought what it was opened for: failures before it no longer count. */
  markHealthy(stream: Stream): void {
    this.#use(stream)
    this.#failures = 0
  }

  /** Whether a lost stream was refused for its token, which was replaced: then the next stream needs no backoff. */
  replacesToken(stream: Stream, error: unknown): boolean {
    if (!isEtcdError(error) || stream.opened === undefined) return false
    if (!this.#host.streams.refused(stream.opened, error)) return false
    this.#refusals += 1
    return this.#refusals <= maxRefusals
  }

  /** A stream on `endpoint` was lost: the next one is opened when its backoff is over. */
  failed(endpoint: string | undefined): void {
    const workedMs = this.#worksSince === undefined ? 0 : performance.now() - this.#worksSince
    this.#worksSince = undefined
    this.#failures = workedMs >= healthyMs ? 1 : this.#failures + 1
    this.exclude(endpoint)
    if (this.#current === undefined) this.#openAfterBackoff(endpoint)
  }

  /** The next stream avoids `endpoint`; where streams were lost on all members, only that one. */
  exclude(endpoint: string | undefined): void {
    if (endpoint === undefined) return
    if (!this.#host.streams.hasOther(endpoint, this.#excludedEndpoints)) this.#excludedEndpoints.clear()
    this.#excludedEndpoints.add(endpoint)
  }

  /** Reports the loss of a stream once until `reportResumed()`. Listeners may stop this: everything else comes before. */
  reportLost(endpoint: string | undefined, error: unknown): void {
    if (this.#lostAt !== undefined) return
    this.#lostAt = performance.now()
    this.#host.onLost(endpoint, error)
  }

  /** Reports that a stream works again, if a loss was reported. Listeners may stop this: everything else comes before. */
  reportResumed(endpoint: string): void {
    if (this.#lostAt === undefined) return
    const downMs = performance.now() - this.#lostAt
    this.#lostAt = undefined
    this.#host.onResumed(endpoint, downMs)
  }

  #use({ opened }: Stream): void {
    if (opened !== undefined) this.#host.streams.used(opened)
  }

  #openAfterBackoff(endpoint: string | undefined): void {
    const isElsewhere = this.#failures === 1 && endpoint !== undefined && this.#host.streams.hasOther(endpoint)
    const delayMs = isElsewhere ? 0 : halfJitterMs(this.#failures, this.#host.backoff())
    this.#stopBackoff()
    this.#reopening = setTimeout(() => this.open(), delayMs)
  }

  #stopBackoff(): void {
    clearTimeout(this.#reopening)
    this.#reopening = undefined
  }
}
