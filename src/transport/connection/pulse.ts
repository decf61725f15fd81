import type { Latency } from './latency.js'
import { LifeSigns } from './life-signs.js'
import type { Lanes } from './member-channels.js'
import type { OpenCalls } from './open-calls.js'

/** The connections to one member, and what is known of the calls on them. */
export interface PulseHost {
  readonly lanes: Pick<Lanes, 'unary' | 'separateStreams'> | undefined
  readonly calls: Pick<OpenCalls, 'inFlight' | 'largeRequestsUntil'>
  readonly latency: Pick<Latency, 'extraTicks'>
  /** Asks the member who it is, over the connection for unary calls or for streams. */
  ask(over: 'unary' | 'streams'): void
  /** A connection that was doubted is good. */
  trusted(): void
  /** Nothing comes any more: the connection may be dead, or the member. */
  silent(over: 'unary' | 'streams'): void
}

/** Something is put on a connection only after a check if nothing has come for so long: something may have dropped it. */
const doubtfulMs = 3000
/** A connection that was heard of so recently has no part in the trouble of another one. */
const recentMs = 500

/**
 * Keeps an eye on the connections to one member, by the ticks of a clock, and knows when they were heard of last.
 *
 * A firewall or a balancer forgets an idle connection without a word: what is sent goes nowhere. So a connection from
 * which nothing has come for some seconds is doubted, and checked by a question before anything is put on it that cannot be
 * sent twice. If no answer comes soon, another connection is made beside it, without waiting for the verdict.
 */
export class Pulse {
  readonly #host: PulseHost
  readonly #unarySigns = new LifeSigns()
  readonly #streamSigns = new LifeSigns()
  #unaryHeardAt = Number.NEGATIVE_INFINITY
  #streamsHeardAt = Number.NEGATIVE_INFINITY
  #isCheckingUnary = false
  #isCheckingStreams = false

  constructor(host: PulseHost) {
    this.#host = host
  }

  /** Whether something is waited for, so that ticks are needed. */
  get isWaiting(): boolean {
    return this.#host.calls.inFlight > 0 || this.#isCheckingUnary || this.#isCheckingStreams
  }

  /** Whether the connection for unary calls is to be checked before anything is put on it that cannot be sent twice. */
  isDoubtful(now: number): boolean {
    return this.#isCheckingUnary || now - this.#unaryHeardAt > doubtfulMs
  }

  /** Whether the connection for streams is to be checked when one is opened. */
  doubtsStreams(now: number): boolean {
    if (this.#host.lanes?.separateStreams === undefined) return this.isDoubtful(now)
    return now - this.#streamsHeardAt > doubtfulMs
  }

  /** Calls begin after a while without: silence counts from now, and nothing that came before ends it. */
  begin(): void {
    const { lanes } = this.#host
    if (this.#isCheckingUnary || lanes === undefined) return
    this.#unarySigns.look(lanes.unary)
    this.#unarySigns.answered()
  }

  /** There is a new connection for unary calls. */
  connected(): void {
    this.#unarySigns.answered()
    this.#unaryHeardAt = performance.now()
    this.#isCheckingUnary = false
  }

  /** A unary call was answered. */
  answered(now: number): void {
    this.#unaryHeardAt = now
    this.#unarySigns.answered()
    this.#trust()
  }

  /** A message came on a stream. */
  streamAnswered(): void {
    const now = performance.now()
    this.#streamsHeardAt = now
    this.#isCheckingStreams = false
    if (this.#host.lanes?.separateStreams === undefined) this.answered(now)
  }

  /** Asks whether the member is alive, over each connection that has said nothing for a moment. */
  check(): void {
    const { unary, separateStreams: streams } = this.#host.lanes ?? {}
    const since = performance.now() - recentMs
    if (unary !== undefined && !this.#isCheckingUnary && this.#unaryHeardAt < since) {
      this.#isCheckingUnary = true
      this.#unarySigns.look(unary)
      this.#unarySigns.answered()
      this.#host.ask('unary')
    }
    // Without a connection, nothing has been read, and streams wait for the one that is being made.
    const hasStreams = streams !== undefined && streams.bytesRead > 0
    if (hasStreams && !this.#isCheckingStreams && this.#streamsHeardAt < since) {
      this.#isCheckingStreams = true
      this.#streamSigns.look(streams)
      this.#streamSigns.answered()
      this.#host.ask('streams')
    }
  }

  /** Takes nothing for silence that was before. */
  rest(): void {
    this.#unarySigns.answered()
    this.#isCheckingUnary = false
  }

  tick(): void {
    this.#tickUnary()
    this.#tickStreams()
  }

  #tickUnary(): void {
    const { lanes, calls, latency } = this.#host
    if (lanes === undefined) return
    const { unary } = lanes
    if (calls.inFlight === 0 && !this.#isCheckingUnary) return
    const hasSign = this.#unarySigns.look(unary)
    if (hasSign) {
      this.#unaryHeardAt = performance.now()
      this.#trust()
    }
    const verdict = this.#unarySigns.tick(hasSign, latency.extraTicks)
    if (verdict === 'ask') {
      this.#host.ask('unary')
      if (this.#isCheckingUnary) unary.replace()
    } else if (verdict === 'give up' && performance.now() > calls.largeRequestsUntil) {
      this.#isCheckingUnary = false
      this.#host.silent('unary')
    }
  }

  #tickStreams(): void {
    const streams = this.#host.lanes?.separateStreams
    if (streams === undefined || !this.#isCheckingStreams) return
    if (this.#streamSigns.look(streams)) {
      this.#streamsHeardAt = performance.now()
      this.#isCheckingStreams = false
      return
    }
    const verdict = this.#streamSigns.tick(false, this.#host.latency.extraTicks)
    if (verdict === 'ask') streams.replace()
    else if (verdict === 'give up') {
      this.#isCheckingStreams = false
      this.#host.silent('streams')
    }
  }

  #trust(): void {
    if (!this.#isCheckingUnary) return
    this.#isCheckingUnary = false
    this.#host.trusted()
  }
}
