import { longestTimerMs } from '../core/abort.js'
import { type Backoff, halfJitterMs } from '../core/backoff.js'
import { EtcdError } from '../core/errors.js'
import { Waiters } from '../core/waiter.js'
import type { CallContext } from '../transport/transport.js'

/** The state of a call queue. */
export interface CallQueueStats {
  /** `Infinity` while the cluster keeps up. */
  readonly limit: number
  readonly inFlight: number
  /** Calls that wait until others have ended, or until the cluster accepts calls again. */
  readonly queued: number
}

/**
 * What the end of a call shows about the cluster:
 *
 * - `served`: the member processed the call, with any result;
 * - `refused`: no member accepts such calls now, and nothing was applied;
 * - `overloaded`: the same, because the member is overloaded;
 * - `slow`: the cluster did not answer in time;
 * - `unreachable`: no member could be reached, so calls cannot load one;
 * - `nothing`.
 */
export type CallVerdict = 'served' | 'refused' | 'overloaded' | 'slow' | 'unreachable' | 'nothing'

/** The shortest time for another attempt: with less, a refused write would get the effect `unknown`. */
export const minAttemptMs = 20
/** How many calls are in flight while the cluster refuses them, to detect when it accepts them again. */
const probes = 4
/** A limit that reaches this is removed. */
const maxLimit = 4096
/** The pause of the queue after refused probes, by their number in a row. */
const refusedPause: Backoff = { baseMs: 50, maxMs: 250 }
/** The member is more than 5000 entries behind, and needs time to catch up. */
const overloadedPause: Backoff = { baseMs: 200, maxMs: 1000 }

/**
 * A queue of calls of one kind. Calls wait here while the cluster does not accept them, instead of failing or piling up
 * there.
 *
 * There is no limit until the cluster refuses a call without applying it, or writes time out. Then a few calls are in flight
 * as probes, with pauses while these are refused, too. Each success raises the limit by one, so that it doubles with each
 * round of calls (slow start), up to half of the calls that were in flight when members were overloaded; beyond that it grows
 * by one per round (AIMD, as in TCP). A refusal for another reason does not show the capacity of the cluster: the limit is
 * then removed as soon as no call waits.
 */
export class CallQueue {
  #limit = Number.POSITIVE_INFINITY
  /** The limit from which on growth is linear. */
  #threshold = Number.POSITIVE_INFINITY
  #inFlight = 0
  /** The calls in flight that count against the limit. */
  #counted = 0
  /** Calls count from this round on: an earlier one that hangs in a failed member does not block the probes. */
  #countedFrom = 0
  /** How often the limit was lowered: the result of an earlier call says nothing about the present limit. */
  #round = 0
  /** Refusals in a row. */
  #refusals = 0
  #pause: NodeJS.Timeout | undefined
  #lastRefusal: EtcdError | undefined
  #throttled = 0
  /** Waiting calls; each resolves to its round. */
  readonly #waiters = new Waiters<number>()

  get stats(): CallQueueStats {
    return { limit: Math.floor(this.#limit), inFlight: this.#inFlight, queued: this.#waiters.size }
  }

  /** How many calls had to wait. */
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
   * Waits until the call is admitted, which counts as `enter()`. At its deadline it rejects with `refusal`, the call's last
   * error, or else with the error with which the cluster refuses such calls now; the effect is `none`.
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

  /** Removes the limit and admits all calls. */
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
    // Further refusals in a row are of probes, which do not show the capacity of the cluster.
    if (verdict === 'overloaded' && this.#refusals === 1) this.#threshold = half
    this.#limit = probes
    if (verdict === 'refused') {
      this.#counted = 0
      this.#countedFrom = this.#round
    }
    // After a success, a single call may have been refused; it waits without delaying the others.
    if (this.#refusals > 1) {
      this.#rest(halfJitterMs(this.#refusals - 1, verdict === 'overloaded' ? overloadedPause : refusedPause))
    }
  }

  /** Raises the limit by one per success; above the threshold by one per round, if the limit is reached. */
  #grow(round: number): void {
    this.#resume()
    if (this.#threshold === Number.POSITIVE_INFINITY && this.#waiters.size === 0) this.open()
    else if (this.#limit < this.#threshold) this.#limit += 1
    else if (round === this.#round && this.#counted >= Math.floor(this.#limit)) this.#limit += 1 / this.#limit
    if (this.#limit >= maxLimit) this.open()
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
