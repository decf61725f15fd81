import type { InFlightCalls } from './in-flight-calls.js'
import type { Latency } from './latency.js'
import type { MemberChannels } from './member-channels.js'
import { SilenceDetector } from './silence-detector.js'

/** The connections to one member, and what is known of the calls on them. */
export interface LivenessHost {
  readonly channels: Pick<MemberChannels, 'unary' | 'separateStreamChannel'> | undefined
  readonly calls: Pick<InFlightCalls, 'count' | 'largeRequestsUntil'>
  readonly latency: Pick<Latency, 'extraTicks'>
  /** Asks the member who it is, over the connection for unary calls or for streams. */
  probe(over: 'unary' | 'streams'): void
  /** A connection that was doubted is good. */
  verified(): void
  /** Nothing comes any more: the connection may be dead, or the member. */
  silent(over: 'unary' | 'streams'): void
}

/** Something is put on a connection only after a check if nothing has come for so long: something may have dropped it. */
const suspectAfterMs = 3000
/** A connection that was heard of so recently has no part in the trouble of another one. */
const recentlyReadMs = 500

/**
 * Keeps an eye on the connections to one member, by the ticks of a clock, and knows when they were heard of last.
 *
 * A firewall or a balancer forgets an idle connection without a word: what is sent goes nowhere. So a connection from
 * which nothing has come for some seconds is doubted, and checked by a question before anything is put on it that cannot be
 * sent twice. If no answer comes soon, another connection is made beside it, without waiting for the verdict.
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

  /** Whether something is waited for, so that ticks are needed. */
  get needsTicks(): boolean {
    return this.#host.calls.count > 0 || this.#isCheckingUnary || this.#isCheckingStreams
  }

  /** Whether the connection for unary calls is to be checked before anything is put on it that cannot be sent twice. */
  isSuspect(now: number): boolean {
    return this.#isCheckingUnary || now - this.#unaryReadAt > suspectAfterMs
  }

  /** Whether the connection for streams is to be checked when one is opened. */
  isStreamChannelSuspect(now: number): boolean {
    if (this.#host.channels?.separateStreamChannel === undefined) return this.isSuspect(now)
    return now - this.#streamsReadAt > suspectAfterMs
  }

  /** Calls begin after a while without: silence counts from now, and nothing that came before ends it. */
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

  /** A message came on a stream. */
  streamAnswered(): void {
    const now = performance.now()
    this.#streamsReadAt = now
    this.#isCheckingStreams = false
    if (this.#host.channels?.separateStreamChannel === undefined) this.answered(now)
  }

  /** Asks whether the member is alive, over each connection that has said nothing for a moment. */
  check(): void {
    const { unary, separateStreamChannel: streams } = this.#host.channels ?? {}
    const since = performance.now() - recentlyReadMs
    if (unary !== undefined && !this.#isCheckingUnary && this.#unaryReadAt < since) {
      this.#isCheckingUnary = true
      this.#unarySilence.sample(unary)
      this.#unarySilence.answered()
      this.#host.probe('unary')
    }
    // Without a connection, nothing has been read, and streams wait for the one that is being made.
    const hasStreams = streams !== undefined && streams.bytesRead > 0
    if (hasStreams && !this.#isCheckingStreams && this.#streamsReadAt < since) {
      this.#isCheckingStreams = true
      this.#streamSilence.sample(streams)
      this.#streamSilence.answered()
      this.#host.probe('streams')
    }
  }

  /** Takes nothing for silence that was before. */
  reset(): void {
    this.#unarySilence.answered()
    this.#isCheckingUnary = false
  }

  tick(): void {
    this.#tickUnary()
    this.#tickStreams()
  }

  #tickUnary(): void {
    const { channels, calls, latency } = this.#host
    if (channels === undefined) return
    const { unary } = channels
    if (calls.count === 0 && !this.#isCheckingUnary) return
    const hasSign = this.#unarySilence.sample(unary)
    if (hasSign) {
      this.#unaryReadAt = performance.now()
      this.#verified()
    }
    const verdict = this.#unarySilence.tick(hasSign, latency.extraTicks)
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
    const verdict = this.#streamSilence.tick(false, this.#host.latency.extraTicks)
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
