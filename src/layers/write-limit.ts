import { longestTimerMs } from '../core/abort.js'
import { type ErrorCode, EtcdError, isEtcdError } from '../core/errors.js'
import type { CallContext, Layer } from '../transport/transport.js'

/** How many writes a client may have under way, and how many it has. */
export interface WriteLimitStats {
  /** `Infinity` while the cluster keeps up. */
  readonly limit: number
  readonly inFlight: number
  /** Writes that wait for others to end. */
  readonly queued: number
}

/** A write that waits for its turn. */
interface Waiter {
  readonly admit: () => void
}

/** Answers by which members say that they are behind. */
const overloads: ReadonlySet<ErrorCode> = new Set([
  'TOO_MANY_REQUESTS',
  'SERVER_TIMEOUT',
  'SERVER_TIMEOUT_APPLY_WAIT',
  'SERVER_DEADLINE_EXCEEDED',
])
/** A write that had less time than this says nothing of the cluster by running out of it. */
const tellingMs = 1000
const leastLimit = 4
/** Above this it is no limit any more. */
const greatestLimit = 4096

/**
 * Bounds the writes in flight while the cluster cannot keep up, so that they wait here, where they have no effect yet,
 * instead of timing out there, where nobody knows. There is no bound until a member says that it is behind; then half of
 * what was in flight, and with the successes that follow one more for each round of writes (AIMD, as TCP has it).
 */
export class WriteLimit {
  #limit = Number.POSITIVE_INFINITY
  #inFlight = 0
  /** Writes that were sent before say nothing of the limit that was set then. */
  #loweredAt = Number.NEGATIVE_INFINITY
  readonly #waiters = new Set<Waiter>()

  get stats(): WriteLimitStats {
    return { limit: Math.floor(this.#limit), inFlight: this.#inFlight, queued: this.#waiters.size }
  }

  /** Runs a write when it is its turn. It rejects with `DEADLINE_EXCEEDED`, effect none, if that does not come in time. */
  run<Response>(context: CallContext, send: () => Promise<Response>): Promise<Response> {
    if (this.#inFlight >= this.#limit || this.#waiters.size > 0) {
      return this.#turn(context).then(() => this.#counted(send))
    }
    this.#inFlight += 1
    return this.#counted(send)
  }

  #counted<Response>(send: () => Promise<Response>): Promise<Response> {
    const startedAt = performance.now()
    const answer = send()
    // Beside the caller, who need not wait for it.
    answer.then(
      () => this.#ended(startedAt, undefined),
      (error: unknown) => this.#ended(startedAt, error),
    )
    return answer
  }

  #ended(startedAt: number, error: unknown): void {
    if (error === undefined) this.#raise(startedAt)
    else if (saysOverload(error, startedAt)) this.#lower(startedAt)
    this.#inFlight -= 1
    this.#admit()
  }

  /** One for a round, which is as many successes as there are places, if all of these are taken. */
  #raise(startedAt: number): void {
    if (startedAt < this.#loweredAt || this.#inFlight < Math.floor(this.#limit)) return
    this.#limit += 1 / this.#limit
    if (this.#limit >= greatestLimit) this.#limit = Number.POSITIVE_INFINITY
  }

  #lower(startedAt: number): void {
    if (startedAt < this.#loweredAt) return
    this.#loweredAt = performance.now()
    this.#limit = Math.max(leastLimit, Math.floor(Math.min(this.#limit, this.#inFlight) / 2))
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (this.#inFlight >= Math.floor(this.#limit)) return
      this.#waiters.delete(waiter)
      this.#inFlight += 1
      waiter.admit()
    }
  }

  #turn({ signal, deadlineAt, startedAt }: CallContext): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter)
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        leave()
        reject(signal?.reason)
      }
      const onLate = (): void => {
        leave()
        reject(notInTime(performance.now() - startedAt, this.stats))
      }
      const waiter: Waiter = {
        admit() {
          leave()
          resolve()
        },
      }
      // Holds the process open: a write that waits is a call under way.
      const timer = setTimeout(onLate, Math.min(deadlineAt - performance.now(), longestTimerMs))
      signal?.addEventListener('abort', onAbort)
      this.#waiters.add(waiter)
      if (signal?.aborted === true) onAbort()
    })
  }
}

/** Below the retry layer, so that a write which waits before a repeat takes no place. */
export function writeLimitLayer(limit: WriteLimit): Layer {
  return (inner) => ({
    unary(method, request, context) {
      if (!context.proposal) return inner.unary(method, request, context)
      return limit.run(context, () => inner.unary(method, request, context))
    },
  })
}

function saysOverload(error: unknown, startedAt: number): boolean {
  if (!isEtcdError(error)) return false
  if (error.code === 'DEADLINE_EXCEEDED') {
    return error.effect === 'unknown' && performance.now() - startedAt >= tellingMs
  }
  return overloads.has(error.code)
}

function notInTime(afterMs: number, { limit, queued }: WriteLimitStats): EtcdError {
  const why = `${queued + 1} writes waited while the cluster was behind with ${limit} in flight`
  return new EtcdError(`no turn to write within ${Math.round(afterMs)} ms: ${why}`, {
    code: 'DEADLINE_EXCEEDED',
    effect: 'none',
    retryable: true,
  })
}
