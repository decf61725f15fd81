import { longestTimerMs } from '../core/abort.js'
import { type Backoff, halfJitterMs } from '../core/backoff.js'
import { EtcdError } from '../core/errors.js'
import { Waiters } from '../core/waiter.js'
import type { CallContext } from '../transport/transport.js'

/** The concurrency limit of a kind of calls, and its use. */
export interface CallQueueStats {
  /** `Infinity` while the cluster keeps up. */
  readonly limit: number
  readonly inFlight: number
  /** Calls that wait for others to end, or for the cluster to accept them again. */
  readonly queued: number
}

/**
 * What the end of a call shows about the cluster:
 *
 * - `served`: the member processed it, with or without success;
 * - `refused`: no member accepts such calls now, and nothing was done;
 * - `overloaded`: the same, because the member is behind;
 * - `slow`: the cluster did not answer in time;
 * - `unreachable`: no member could be reached, so that calls cannot overload one;
 * - `nothing`.
 */
export type CallVerdict = 'served' | 'refused' | 'overloaded' | 'slow' | 'unreachable' | 'nothing'

/** Minimum time for one more attempt: with less, a refusal would become a write of unknown effect. */
export const minAttemptMs = 20
/** Calls in flight while the cluster refuses them, to find out when it accepts them again. */
const probes = 4
/** A limit above this is removed. */
const maxLimit = 4096
/** The pause of the whole queue after refused probes. It grows with consecutive refusals. */
const refusedPause: Backoff = { baseMs: 50, maxMs: 250 }
/** The member is over 5000 entries behind: another request soon would only delay it further. */
const overloadedPause: Backoff = { baseMs: 200, maxMs: 1000 }

/**
 * The calls of one kind. They wait here while the cluster does not accept them, instead of failing or piling up there.
 *
 * There is no limit until the cluster refuses a call with nothing done, or writes time out. From then on few calls are in
 * flight, with pauses while all of these are refused too. Each success raises the limit by one, so that it doubles with
 * each round of calls (slow start) up to half of what was in flight when members reported that they were behind; beyond
 * that it grows by one for each round (AIMD, as in TCP). A refusal for another reason shows nothing about the capacity of
 * the cluster: the limit is then removed as soon as no call waits.
 */
export class CallQueue {
  #limit = Number.POSITIVE_INFINITY
  /** Where growth slows down. */
  #threshold = Number.POSITIVE_INFINITY
  #inFlight = 0
  /** The calls in flight that count against the limit. */
  #counted = 0
  /** The first round whose calls count: an earlier call that hangs in a lost member takes no probe's place. */
  #countedFrom = 0
  /** How often the limit was lowered: calls sent before show nothing about the limit set then. */
  #round = 0
  /** Consecutive refusals. */
  #refusals = 0
  #pause: NodeJS.Timeout | undefined
  #lastRefusal: EtcdError | undefined
  #throttled = 0
  /** Queued calls; each resolves to its round. */
  readonly #waiters = new Waiters<number>()

  get stats(): CallQueueStats {
    return { limit: Math.floor(this.#limit), inFlight: this.#inFlight, queued: this.#waiters.size }
  }

  /** How often a call was queued. */
  get throttled(): number {
    return this.#throttled
  }

  /** Whether a call has to `wait()` instead of `enter()`. */
  get isFull(): boolean {
    return this.#counted >= this.#limit || this.#waiters.size > 0 || this.#pause !== undefined
  }

  /** Counts a call that is sent now. Returns its round, for `succeeded()` or `failed()`. */
  enter(): number {
    this.#inFlight += 1
    this.#counted += 1
    return this.#round
  }

  /**
   * Waits until it is the call's turn, which counts as `enter()`. At the call's deadline it rejects with `refusal`, the
   * error of its last attempt, or else with the error that the cluster refuses such calls with now; the effect is `none`.
   */
  wait(context: CallContext, refusal: EtcdError | undefined): Promise<number> {
    this.#throttled += 1
    const lastAt = refusal === undefined ? context.deadlineAt : context.deadlineAt - minAttemptMs
    return this.#waiters.wait(undefined, {
      signal: context.signal,
      // Holds the process open: a call that waits is a call in flight.
      timeoutMs: Math.min(lastAt - performance.now(), longestTimerMs),
      onTimeout: (waiter) => waiter.reject(refusal ?? this.#queuedTooLong(context)),
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
    // Later consecutive refusals are of probes, which do not measure the capacity of the cluster.
    if (verdict === 'overloaded' && this.#refusals === 1) this.#threshold = half
    this.#limit = probes
    if (verdict === 'refused') {
      this.#counted = 0
      this.#countedFrom = this.#round
    }
    // After a success a single call may have been refused, which waits without delaying the others.
    if (this.#refusals > 1) {
      this.#pauseFor(halfJitterMs(this.#refusals - 1, verdict === 'overloaded' ? overloadedPause : refusedPause))
    }
  }

  /** Raises the limit by one for each success; beyond the threshold by one for each round, if the limit is reached. */
  #grow(round: number): void {
    this.#resume()
    if (this.#threshold === Number.POSITIVE_INFINITY && this.#waiters.size === 0) this.open()
    else if (this.#limit < this.#threshold) this.#limit += 1
    else if (round === this.#round && this.#counted >= Math.floor(this.#limit)) this.#limit += 1 / this.#limit
    if (this.#limit >= maxLimit) this.open()
  }

  #pauseFor(ms: number): void {
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

  #queuedTooLong({ startedAt }: CallContext): EtcdError {
    const { limit, queued } = this.stats
    const refusal = this.#lastRefusal
    const queuedFor = `queued for ${Math.round(performance.now() - startedAt)} ms`
    if (refusal === undefined) {
      const reason = `the cluster is behind with ${limit} in flight, and ${queued + 1} calls wait`
      return new EtcdError(`${queuedFor}: ${reason}`, { code: 'DEADLINE_EXCEEDED', effect: 'none', retryable: true })
    }
    const { code, grpcCode, rawMessage } = refusal
    return new EtcdError(`${rawMessage} (${queuedFor} with ${queued} other calls that the cluster refuses)`, {
      code,
      grpcCode,
      effect: 'none',
      retryable: true,
      cause: refusal,
    })
  }
}
