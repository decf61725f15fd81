import type { InFlightCalls } from './in-flight-calls.js'
import type { Latency } from './latency.js'
import type { MemberChannels } from './member-channels.js'
import type { Patience } from './patience.js'
import { SilenceDetector } from './silence-detector.js'

/** What liveness needs from the connections to one member. */
export interface LivenessHost {
  readonly channels: Pick<MemberChannels, 'unary' | 'separateStreamChannel'> | undefined
  readonly calls: Pick<InFlightCalls, 'count' | 'largeRequestsUntil'>
  readonly latency: Pick<Latency, 'extraTicks'>
  readonly patience: Pick<Patience, 'factor'>
  /** Sends a probe over the connection for unary calls or for streams. */
  probe(over: 'unary' | 'streams'): void
  /** A suspect connection has proved to be alive. */
  verified(): void
  /** No byte comes in response to probes: the connection or the member is dead. */
  silent(over: 'unary' | 'streams'): void
}

/** A connection that has received nothing for this long is suspect: a firewall may have dropped it. */
const suspectAfterMs = 3000
/** A connection that has received bytes this recently is not checked when another one is found dead. */
const recentlyReadMs = 500

/**
 * Tracks when the connections to one member last received bytes, and detects by the ticks of a clock that they are dead.
 *
 * Firewalls and load balancers drop idle connections silently, so that requests are lost. A connection that has received
 * nothing for some seconds is therefore suspect: it is probed before calls that are not repeatable are sent on it. If no byte
 * comes soon, another connection is opened beside it before the verdict.
 */
export class ConnectionLiveness {
  readonly #host: LivenessHost
  readonly #unarySilence = new SilenceDetector()
  readonly #streamSilence = new SilenceDetector()
  #unaryReadAt = Number.NEGATIVE_INFINITY
  #streamsReadAt = Number.NEGATIVE_INFINITY
  #isCheckingUnary = false
  #isCheckingStreams = false

  constructor(host: LivenessHost) {
    this.#host = host
  }

  /** Whether calls or probes are in flight, so that `tick` has to be called. */
  get needsTicks(): boolean {
    return this.#host.calls.count > 0 || this.#isCheckingUnary || this.#isCheckingStreams
  }

  /** Whether the connection for unary calls must be probed before calls that are not repeatable are sent on it. */
  isSuspect(now: number): boolean {
    return this.#isCheckingUnary || now - this.#unaryReadAt > suspectAfterMs
  }

  /** Whether the connection for streams must be probed when a stream is opened. */
  isStreamChannelSuspect(now: number): boolean {
    if (this.#host.channels?.separateStreamChannel === undefined) return this.isSuspect(now)
    return now - this.#streamsReadAt > suspectAfterMs
  }

  /** The first call in flight: silence counts from now on, and bytes that arrived before do not end it. */
  callsStarted(): void {
    const { channels } = this.#host
    if (this.#isCheckingUnary || channels === undefined) return
    this.#unarySilence.sample(channels.unary)
    this.#unarySilence.answered()
  }

  /** There is a new connection for unary calls. */
  connected(): void {
    this.#unarySilence.answered()
    this.#unaryReadAt = performance.now()
    this.#isCheckingUnary = false
  }

  /** A unary call was answered. */
  answered(now: number): void {
    this.#unaryReadAt = now
    this.#unarySilence.answered()
    this.#verified()
  }

  /** A message arrived on a stream. */
  streamAnswered(): void {
    const now = performance.now()
    this.#streamsReadAt = now
    this.#isCheckingStreams = false
    if (this.#host.channels?.separateStreamChannel === undefined) this.answered(now)
  }

  /** Probes each connection that has received nothing recently. */
  check(): void {
    const { unary, separateStreamChannel: streams } = this.#host.channels ?? {}
    const since = performance.now() - recentlyReadMs
    if (unary !== undefined && !this.#isCheckingUnary && this.#unaryReadAt < since) {
      this.#isCheckingUnary = true
      this.#unarySilence.sample(unary)
      this.#unarySilence.answered()
      this.#host.probe('unary')
    }
    // While the channel is still connecting, nothing has been read, and its streams wait.
    const hasStreams = streams !== undefined && streams.bytesRead > 0
    if (hasStreams && !this.#isCheckingStreams && this.#streamsReadAt < since) {
      this.#isCheckingStreams = true
      this.#streamSilence.sample(streams)
      this.#streamSilence.answered()
      this.#host.probe('streams')
    }
  }

  /** Restarts the measurement of silence. */
  reset(): void {
    this.#unarySilence.answered()
    this.#isCheckingUnary = false
  }

  tick(): void {
    this.#tickUnary()
    this.#tickStreams()
  }

  #tickUnary(): void {
    const { channels, calls, latency, patience } = this.#host
    if (channels === undefined) return
    const { unary } = channels
    if (calls.count === 0 && !this.#isCheckingUnary) return
    const hasSign = this.#unarySilence.sample(unary)
    if (hasSign) {
      this.#unaryReadAt = performance.now()
      this.#verified()
    }
    const verdict = this.#unarySilence.tick(hasSign, latency.extraTicks, patience.factor)
    if (verdict === 'probe') {
      this.#host.probe('unary')
      if (this.#isCheckingUnary) unary.replaceConnection()
    } else if (verdict === 'unresponsive' && performance.now() > calls.largeRequestsUntil) {
      this.#isCheckingUnary = false
      this.#host.silent('unary')
    }
  }

  #tickStreams(): void {
    const streams = this.#host.channels?.separateStreamChannel
    if (streams === undefined || !this.#isCheckingStreams) return
    if (this.#streamSilence.sample(streams)) {
      this.#streamsReadAt = performance.now()
      this.#isCheckingStreams = false
      return
    }
    const verdict = this.#streamSilence.tick(false, this.#host.latency.extraTicks, this.#host.patience.factor)
    if (verdict === 'probe') streams.replaceConnection()
    else if (verdict === 'unresponsive') {
      this.#isCheckingStreams = false
      this.#host.silent('streams')
    }
  }

  #verified(): void {
    if (!this.#isCheckingUnary) return
    this.#isCheckingUnary = false
    this.#host.verified()
  }
}
