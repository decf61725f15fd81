import { longestTimerMs } from '../core/abort.js'
import { type Backoff, halfJitterMs } from '../core/backoff.js'
import { EtcdError } from '../core/errors.js'
import { Waiters } from '../core/waiter.js'
import type { CallContext } from '../transport/transport.js'

/** How many calls of a kind may be under way, and how many are. */
export interface CallQueueStats {
  /** `Infinity` while the cluster keeps up. */
  readonly limit: number
  readonly inFlight: number
  /** Calls that wait for others to end, or for the cluster to take them again. */
  readonly queued: number
}

/**
 * What the end of a call says about the others:
 *
 * - `served`: the member did its work, whatever came of it;
 * - `refused`: no member takes such calls now, and nothing was done;
 * - `overloaded`: the same, because it is behind;
 * - `slow`: the cluster did not answer in time;
 * - `unreachable`: no member could be reached, so that nothing here can burden one;
 * - `nothing`.
 */
export type CallVerdict = 'served' | 'refused' | 'overloaded' | 'slow' | 'unreachable' | 'nothing'

/** The least time for one more attempt: with less, a refusal would become a write of unknown effect. */
export const minAttemptMs = 20
/** Calls under way while the cluster refuses them, to find out when it takes them again. */
const probes = 4
/** Above this it is no limit any more. */
const greatestLimit = 4096
/** The pause of the whole queue after probes that were refused, by how many were in a row. */
const refusedPause: Backoff = { baseMs: 50, maxMs: 250 }
/** The member is over 5000 entries behind: it needs time more than it needs another request. */
const overloadedPause: Backoff = { baseMs: 200, maxMs: 1000 }

/**
 * The calls of one kind, which wait here while the cluster does not take them, instead of failing or piling up there.
 *
 * There is no bound until the cluster refuses a call with nothing done, or lets writes time out. From then on few are in
 * flight, with pauses while all of these are refused too. Each success makes room for one more, so that the number
 * doubles with each round of calls (slow start): up to half of what was in flight when members said that they were behind,
 * and by one for each round beyond (AIMD, as TCP has it). What was refused for another reason says nothing of how much
 * the cluster can take: then there is no bound again as soon as nobody waits.
 */
export class CallQueue {
  #limit = Number.POSITIVE_INFINITY
  /** Where growth slows down. */
  #threshold = Number.POSITIVE_INFINITY
  #inFlight = 0
  /** Those of the calls in flight that count against the limit. */
  #counted = 0
  /** The round from which on calls count: one that hangs in a member which is gone keeps no probe back. */
  #countedFrom = 0
  /** Counts how often the limit was lowered: calls that were sent before say nothing of the limit set then. */
  #round = 0
  /** How often in a row, without a success in between. */
  #refusals = 0
  #pause: NodeJS.Timeout | undefined
  #lastRefusal: EtcdError | undefined
  #throttled = 0
  /** Calls that wait for their turn; each resolves to its round. */
  readonly #waiters = new Waiters<number>()

  get stats(): CallQueueStats {
    return { limit: Math.floor(this.#limit), inFlight: this.#inFlight, queued: this.#waiters.size }
  }

  /** How often a call had to wait for its turn. */
  get throttled(): number {
    return this.#throttled
  }

  /** Whether a call has to `wait()` instead of `enter()`. */
  get isFull(): boolean {
    return this.#counted >= this.#limit || this.#waiters.size > 0 || this.#pause !== undefined
  }

  /** Counts a call that is sent now. Returns the round that `ended()` asks for. */
  enter(): number {
    this.#inFlight += 1
    this.#counted += 1
    return this.#round
  }

  /**
   * Waits until it is the call's turn, which counts as `enter()`. When its time is over it rejects with `refusal`, which
   * the call met before, or else with what the cluster refuses such calls with now; their effect is none.
   */
  wait(context: CallContext, refusal: EtcdError | undefined): Promise<number> {
    this.#throttled += 1
    const lastAt = refusal === undefined ? context.deadlineAt : context.deadlineAt - minAttemptMs
    return this.#waiters.wait(undefined, {
      signal: context.signal,
      // Holds the process open: a call that waits is a call in flight.
      timeoutMs: Math.min(lastAt - performance.now(), longestTimerMs),
      onTimeout: (waiter) => waiter.reject(refusal ?? this.#notInTime(context)),
    })
  }

  /** A call of this round has succeeded. */
  succeeded(round: number): void {
    this.#refusals = 0
    if (this.#limit !== Number.POSITIVE_INFINITY) this.#grow(round)
    this.#leave(round)
    if (this.#waiters.size > 0) this.#admit()
  }

  /** A call of this round has failed with `error`. */
  failed(round: number, verdict: CallVerdict, error: unknown): void {
    if (verdict === 'served') {
      this.succeeded(round)
      return
    }
    if (verdict === 'unreachable') this.open()
    else if (verdict !== 'nothing' && round === this.#round) this.#lower(verdict, error)
    this.#leave(round)
    this.#admit()
  }

  /** Lets all calls through from now on. */
  open(): void {
    this.#limit = Number.POSITIVE_INFINITY
    this.#threshold = Number.POSITIVE_INFINITY
    this.#refusals = 0
    this.#lastRefusal = undefined
    this.#resume()
    this.#admit()
  }

  #leave(round: number): void {
    this.#inFlight -= 1
    if (round >= this.#countedFrom) this.#counted -= 1
  }

  #lower(verdict: 'refused' | 'overloaded' | 'slow', error: unknown): void {
    this.#round += 1
    this.#lastRefusal = error instanceof EtcdError && verdict !== 'slow' ? error : undefined
    const half = Math.max(probes, Math.floor(Math.min(this.#limit, this.#inFlight) / 2))
    if (verdict === 'slow') {
      this.#limit = this.#threshold = half
      return
    }
    this.#refusals += 1
    // Later refusals in a row are of probes, which are no measure of what the cluster can take.
    if (verdict === 'overloaded' && this.#refusals === 1) this.#threshold = half
    this.#limit = probes
    if (verdict === 'refused') {
      this.#counted = 0
      this.#countedFrom = this.#round
    }
    // After a success it may be one call alone that is refused, which waits without holding the others up.
    if (this.#refusals > 1) {
      this.#rest(halfJitterMs(this.#refusals - 1, verdict === 'overloaded' ? overloadedPause : refusedPause))
    }
  }

  /** One place for each success; beyond the threshold one for each round of them, if all places are taken. */
  #grow(round: number): void {
    this.#resume()
    if (this.#threshold === Number.POSITIVE_INFINITY && this.#waiters.size === 0) this.open()
    else if (this.#limit < this.#threshold) this.#limit += 1
    else if (round === this.#round && this.#counted >= Math.floor(this.#limit)) this.#limit += 1 / this.#limit
    if (this.#limit >= greatestLimit) this.open()
  }

  #rest(ms: number): void {
    this.#resume()
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      this.#admit()
    }, ms)
    this.#pause.unref()
  }

  #resume(): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
  }

  #admit(): void {
    if (this.#pause !== undefined) return
    for (const [waiter] of this.#waiters) {
      if (this.#counted >= Math.floor(this.#limit)) return
      waiter.resolve(this.enter())
    }
  }

  #notInTime({ startedAt }: CallContext): EtcdError {
    const { limit, queued } = this.stats
    const refusal = this.#lastRefusal
    const what = `no turn within ${Math.round(performance.now() - startedAt)} ms`
    if (refusal === undefined) {
      const why = `${queued + 1} calls waited while the cluster was behind with ${limit} in flight`
      return new EtcdError(`${what}: ${why}`, { code: 'DEADLINE_EXCEEDED', effect: 'none', retryable: true })
    }
    const { code, grpcCode, rawMessage } = refusal
    const why = `${queued + 1} calls waited while the cluster refused them`
    return new EtcdError(`${rawMessage} (${what}: ${why})`, {
      code,
      grpcCode,
      effect: 'none',
      retryable: true,
      cause: refusal,
    })
  }
}
