import pRetry from 'p-retry'
import { fullJitterMs } from '../core/backoff.js'
import { type ErrorCode, type EtcdError, isEtcdError } from '../core/errors.js'
import { sleep } from '../core/wait.js'
import type { Method } from '../protobuf/methods.js'
import { progressOf } from '../transport/call-progress.js'
import { isTransportCode } from '../transport/grpc-status.js'
import type { CallContext, Interceptor, Route, UnaryHandler } from '../transport/transport.js'
import { CallQueue, type CallQueueStats, type CallVerdict, minAttemptMs } from './call-queue.js'

/** What retries need from the client. */
export interface RetryOptions {
  /** Not shared with calls that other calls depend on, such as the authentication. */
  readonly queues: CallQueues
  /** Whether a healthy member is left that has not failed the call: it is tried without a backoff. */
  readonly hasUntriedEndpoint: (route: Route, excludedEndpoints: ReadonlySet<string>) => boolean
  /** Aborts when the client closes: waiting calls continue at once, and fail with `CLOSED`. */
  readonly closing?: AbortSignal
}

/** The backoff of a call, by the number of its retries. */
interface Rest {
  readonly minMs: number
  readonly baseMs: number
  readonly maxMs: number
}

const usualRest: Rest = { minMs: 5, baseMs: 25, maxMs: 500 }
const overloadRest: Rest = { minMs: 100, baseMs: 200, maxMs: 1000 }

/** Refusals without a leader: nothing was applied. */
const leaderless: ReadonlySet<ErrorCode> = new Set(['NO_LEADER', 'PROPOSAL_DROPPED'])
/** Errors of overloaded members, whose writes may be applied all the same. */
const timeouts: ReadonlySet<ErrorCode> = new Set([
  'SERVER_TIMEOUT',
  'SERVER_TIMEOUT_APPLY_WAIT',
  'SERVER_DEADLINE_EXCEEDED',
])
/** A write with a shorter time limit does not show that the cluster is slow. */
const tellingMs = 1000

/** The queues of a client: calls that the cluster refuses for the same reason share a queue. */
export class CallQueues {
  readonly #writes = new CallQueue()
  readonly #reads = new CallQueue()
  /** Never full: the state of one member, or of its data, is not that of the cluster. */
  readonly #others = new CallQueue()

  get writes(): CallQueueStats {
    return this.#writes.stats
  }

  /** How many calls had to wait in a queue. */
  get throttled(): number {
    return this.#writes.throttled + this.#reads.throttled
  }

  queueOf({ proposal, route }: CallContext): CallQueue {
    if (route.endpoint !== undefined || route.serializable) return this.#others
    return proposal ? this.#writes : this.#reads
  }

  /** Admits all waiting calls. */
  open(): void {
    this.#writes.open()
    this.#reads.open()
  }
}

/** How a call is retried: at once on another member, or after a backoff. */
interface Repeat {
  readonly kind: 'elsewhere' | 'later'
  readonly error: EtcdError
  /** The context of the next attempt, which excludes the members that failed. */
  readonly context: CallContext
}

const noRepeat = { kind: 'none' } as const

/**
 * Retries failed calls within their deadline, if nothing can be applied twice: any call with effect `none` and a retryable
 * error, and a repeatable call after any transient failure.
 *
 * The first retry goes to another member at once, if there is one. Otherwise the call backs off, and then waits as long as
 * its queue is full. Calls that all members refuse thus cost the cluster a few probes, however many calls wait, and none of
 * them fails before its deadline.
 */
export function retryInterceptor(options: RetryOptions): Interceptor {
  const { queues, closing } = options
  closing?.addEventListener('abort', () => queues.open())
  const retries = new Retries(options)
  return (method, request, context, next) => retries.call(method, request, context, next)
}

class Retries {
  readonly #options: RetryOptions

  constructor(options: RetryOptions) {
    this.#options = options
  }

  async call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    context: CallContext,
    next: UnaryHandler<Request, Response>,
  ): Promise<Response> {
    const queue = this.#options.queues.queueOf(context)
    const round = queue.isFull ? await this.#turn(queue, context, undefined) : queue.enter()
    try {
      const response = await next(method, request, context)
      queue.succeeded(round)
      return response
    } catch (error) {
      const repeat = this.#ended(queue, round, error, context)
      if (repeat.kind === 'none') throw error
      return this.#repeat(queue, repeat, (repeated) => next(method, request, repeated))
    }
  }

  /**
   * Repeats a call whose first attempt, which needs no retry machinery, has failed.
   *
   * p-retry makes the attempts and asks `shouldRetry` after each failure. Its other options are unused: the call's deadline
   * is the limit, not `retries` or `maxRetryTime`; the wait depends on the error and on the queue and ends when the client
   * closes, which `minTimeout`, `factor` and `randomize` cannot express; and with `signal`, p-retry would reject an attempt
   * that has succeeded when the signal aborts at that moment, and a write would be reported as failed.
   */
  async #repeat<Response>(
    queue: CallQueue,
    first: Repeat,
    send: (context: CallContext) => Promise<Response>,
  ): Promise<Response> {
    let next: Repeat | typeof noRepeat = first
    let { context } = first
    let round = await this.#waitBefore(1, queue, first)
    let failure: unknown
    const fail = (error: unknown): never => {
      failure = error
      throw error
    }
    const attempt = async (): Promise<Response> => {
      try {
        const response = await send(context)
        queue.succeeded(round)
        return response
      } catch (error) {
        next = this.#ended(queue, round, error, context)
        return fail(error)
      }
    }
    const shouldRetry = async ({ attemptNumber }: { readonly attemptNumber: number }): Promise<boolean> => {
      if (next.kind === 'none') return false
      round = await this.#waitBefore(attemptNumber + 1, queue, next).catch(fail)
      context = next.context
      return true
    }
    const options = { retries: Number.POSITIVE_INFINITY, minTimeout: 0, factor: 1, shouldRetry }
    // p-retry replaces what is not an Error, such as the reason of a signal.
    return pRetry(attempt, options).catch(() => {
      throw failure
    })
  }

  /** Reports the end of an attempt to the queue, and decides whether to retry. */
  #ended(queue: CallQueue, round: number, error: unknown, context: CallContext): Repeat | typeof noRepeat {
    const next = mayRepeat(error, context) ? this.#next(error, context) : noRepeat
    if (next.kind !== 'none' && next.error.effect === 'unknown') progressOf.retry(context).mayBeApplied = true
    queue.failed(round, next.kind === 'elsewhere' ? 'nothing' : verdictOf(error, context), error)
    return next
  }

  #next(error: EtcdError, context: CallContext): Repeat {
    const { endpoint } = context.progress
    const excludedEndpoints = new Set(context.excludedEndpoints)
    if (endpoint !== undefined) excludedEndpoints.add(endpoint)
    Object.assign(progressOf.retry(context), { lastFailure: error, failedEndpoints: excludedEndpoints })
    // An overloaded member is no reason to load the others.
    const elsewhere =
      error.code !== 'TOO_MANY_REQUESTS' && this.#options.hasUntriedEndpoint(context.route, excludedEndpoints)
    return { kind: elsewhere ? 'elsewhere' : 'later', error, context: { ...context, excludedEndpoints } }
  }

  /** Resolves when the queue counts the call as in flight again. */
  async #waitBefore(repeats: number, queue: CallQueue, { kind, error, context }: Repeat): Promise<number> {
    if (kind === 'later') await this.#rest(repeats, error, context)
    return queue.isFull ? this.#turn(queue, context, error) : queue.enter()
  }

  async #rest(repeat: number, error: EtcdError, context: CallContext): Promise<void> {
    const { minMs, ...backoff } = error.code === 'TOO_MANY_REQUESTS' ? overloadRest : usualRest
    const startedAt = performance.now()
    const leftMs = context.deadlineAt - startedAt - minAttemptMs
    // At most half of the remaining time, so that a call with enough time gets one more attempt.
    const delayMs = Math.max(minMs, Math.min(fullJitterMs(repeat, backoff), leftMs / 2))
    if (delayMs >= leftMs) throw error
    await sleep(delayMs, context.signal, this.#options.closing)
    const now = performance.now()
    progressOf.retry(context).backoffMs += now - startedAt
    // The timer fired late: the member's error is more useful than DEADLINE_EXCEEDED.
    if (now >= context.deadlineAt - minAttemptMs) throw error
  }

  async #turn(queue: CallQueue, context: CallContext, refusal: EtcdError | undefined): Promise<number> {
    if (this.#options.closing?.aborted === true) return queue.enter()
    const startedAt = performance.now()
    const round = await queue.wait(context, refusal)
    progressOf.retry(context).backoffMs += performance.now() - startedAt
    return round
  }
}

function verdictOf(error: unknown, context: CallContext): CallVerdict {
  if (!isEtcdError(error) || context.route.endpoint !== undefined || context.route.serializable) return 'nothing'
  if (leaderless.has(error.code)) return 'refused'
  if (error.code === 'TOO_MANY_REQUESTS') return 'overloaded'
  if (error.code === 'NOT_CONNECTED' && error.endpoint === undefined) return 'unreachable'
  if (isSlow(error, context)) return context.proposal ? 'slow' : 'nothing'
  return isTransportCode(error.code) || error.endpoint === undefined ? 'nothing' : 'served'
}

function isSlow({ code, effect }: EtcdError, { startedAt, progress: { authMs, backoffMs } }: CallContext): boolean {
  if (code !== 'DEADLINE_EXCEEDED') return timeouts.has(code)
  return effect === 'unknown' && performance.now() - startedAt - authMs - backoffMs >= tellingMs
}

function mayRepeat(error: unknown, context: CallContext): error is EtcdError {
  if (!isEtcdError(error) || !error.retryable) return false
  if (context.signal?.aborted === true || performance.now() >= context.deadlineAt) return false
  // The requested member would refuse it again.
  if (context.route.endpoint !== undefined && isForOthers(error)) return false
  // Without an endpoint, the call has already waited for a connection as long as it may.
  if (error.code === 'NOT_CONNECTED' && error.endpoint === undefined) return false
  return error.effect === 'none' || context.repeatable
}

/** Whether only another member can serve the call. */
function isForOthers({ code }: EtcdError): boolean {
  return code === 'NOT_SUPPORTED_FOR_LEARNER' || code === 'NOT_LEADER'
}
