import pRetry from 'p-retry'
import { fullJitterMs } from '../core/backoff.js'
import { type ErrorCode, type EtcdError, isEtcdError } from '../core/errors.js'
import { sleep } from '../core/wait.js'
import type { Method } from '../protobuf/methods.js'
import { progressOf } from '../transport/call-progress.js'
import { isTransportCode } from '../transport/grpc-status.js'
import type { CallContext, Interceptor, Route, UnaryHandler } from '../transport/transport.js'
import { CallQueue, type CallQueueStats, type CallVerdict, minAttemptMs } from './call-queue.js'
import { defaultRetryPolicy, type RetryPolicy } from './retry-options.js'

/** Options of the retry interceptor. */
export interface RetryInterceptorOptions {
  /** @default `defaultRetryPolicy` */
  readonly policy?: RetryPolicy
  /** Calls that other calls wait for, such as those that obtain a token, need separate queues. */
  readonly queues: CallQueues
  /** Whether a healthy member is left that has not failed the call: it is tried without a delay. */
  readonly hasUntriedEndpoint: (route: Route, excludedEndpoints: ReadonlySet<string>) => boolean
  /**
   * The delay after an attempt that was not answered, for calls that are expensive for the members: they may still be working
   * on it. @default the usual one
   */
  readonly unansweredDelay?: RetryDelay
  /** Aborts when the client is closed: waiting calls then continue at once, and fail with `CLOSED`. */
  readonly closing?: AbortSignal
}

/** The delay before a retry: `baseMs` doubles with each retry up to `maxMs`, with full jitter, and is at least `minMs`. */
export interface RetryDelay {
  readonly minMs: number
  readonly baseMs: number
  readonly maxMs: number
}

const minDelayMs = 5
const overloadDelay: RetryDelay = { minMs: 100, baseMs: 200, maxMs: 1000 }

/** Refusals because there is no leader: nothing was done. */
const leaderless: ReadonlySet<ErrorCode> = new Set(['NO_LEADER', 'PROPOSAL_DROPPED'])
/** Errors by which members report that they are behind. The write may be applied all the same. */
const serverTimeouts: ReadonlySet<ErrorCode> = new Set([
  'SERVER_TIMEOUT',
  'SERVER_TIMEOUT_APPLY_WAIT',
  'SERVER_DEADLINE_EXCEEDED',
])
/** A write that had less time than this does not show, by running out of it, that the cluster is slow. */
const minSlowMs = 1000

/** The queues of a client: writes and reads that the cluster refuses wait separately. */
export class CallQueues {
  readonly #writes = new CallQueue()
  readonly #reads = new CallQueue()
  /** Never full: a call to one given member, or a serializable read, shows nothing about the cluster. */
  readonly #others = new CallQueue()

  get writes(): CallQueueStats {
    return this.#writes.stats
  }

  /** How often a call was queued. */
  get throttled(): number {
    return this.#writes.throttled + this.#reads.throttled
  }

  queueOf({ proposal, route }: CallContext): CallQueue {
    if (route.endpoint !== undefined || route.serializable) return this.#others
    return proposal ? this.#writes : this.#reads
  }

  /** Lets all queued calls through. */
  open(): void {
    this.#writes.open()
    this.#reads.open()
  }
}

/** How a call is retried: on another member at once, or after a delay. */
interface Retry {
  readonly kind: 'elsewhere' | 'later'
  readonly error: EtcdError
  /** The call, which excludes the members that failed it. */
  readonly context: CallContext
}

const noRetry = { kind: 'none' } as const

/**
 * Retries failed calls within their deadline if nothing can be applied twice: any call whose error has the effect `none`
 * and may succeed elsewhere or later, and a repeatable call after any transient failure.
 *
 * The first retry goes to another member at once if there is one. Otherwise the call waits for a delay, and then for as
 * long as its queue is full. So calls that all members refuse cost the cluster a few probes, however many calls wait, and
 * none of them fails before its deadline.
 */
export function retryInterceptor(options: RetryInterceptorOptions): Interceptor {
  const { queues, closing } = options
  closing?.addEventListener('abort', () => queues.open())
  const retries = new Retries(options)
  return (method, request, context, next) => retries.call(method, request, context, next)
}

class Retries {
  readonly #options: RetryInterceptorOptions
  readonly #policy: RetryPolicy

  constructor(options: RetryInterceptorOptions) {
    this.#options = options
    this.#policy = options.policy ?? defaultRetryPolicy
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
      const retry = this.#ended(queue, round, error, context, 1)
      if (retry.kind === 'none') throw error
      return this.#retryCall(queue, retry, method, request, next)
    }
  }

  /** Apart from `call()`, which would otherwise allocate this closure's variables for every call. */
  #retryCall<Request, Response>(
    queue: CallQueue,
    first: Retry,
    method: Method<Request, Response>,
    request: Request,
    next: UnaryHandler<Request, Response>,
  ): Promise<Response> {
    return this.#retry(queue, first, (context) => next(method, request, context))
  }

  /**
   * Retries a call whose first attempt, which needs no retry machinery, has failed.
   *
   * p-retry makes the attempts and asks `shouldRetry` after each failure. Its other options are unused: the call's deadline
   * is the limit, not `retries` or `maxRetryTime`; the wait depends on the error and on the queue and ends when the client
   * closes, which `minTimeout`, `factor` and `randomize` cannot express; and with `signal`, p-retry would reject an attempt
   * that has succeeded when the signal aborts at that moment, and a write would be reported as failed.
   */
  async #retry<Response>(
    queue: CallQueue,
    first: Retry,
    send: (context: CallContext) => Promise<Response>,
  ): Promise<Response> {
    let next: Retry | typeof noRetry = first
    let { context } = first
    let round = await this.#waitBefore(1, queue, first)
    let failure: unknown
    const fail = (error: unknown): never => {
      failure = error
      throw error
    }
    const attempt = async (retries: number): Promise<Response> => {
      try {
        const response = await send(context)
        queue.succeeded(round)
        return response
      } catch (error) {
        next = this.#ended(queue, round, error, context, retries + 1)
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

  /** Reports the end of an attempt to the queue, and decides how the call is retried. */
  #ended(
    queue: CallQueue,
    round: number,
    error: unknown,
    context: CallContext,
    attempts: number,
  ): Retry | typeof noRetry {
    const retries = attempts < this.#policy.maxAttempts && mayRetry(error, context) && this.#allows(error)
    const next = retries ? this.#next(error, context) : noRetry
    if (next.kind !== 'none' && next.error.effect === 'unknown') progressOf.retry(context).mayBeApplied = true
    queue.failed(round, next.kind === 'elsewhere' ? 'nothing' : verdictOf(error, context), error)
    return next
  }

  #allows({ code }: EtcdError): boolean {
    return this.#policy.codes?.has(code) ?? true
  }

  #next(error: EtcdError, context: CallContext): Retry {
    const { endpoint } = context.progress
    const excludedEndpoints = new Set(context.excludedEndpoints)
    if (endpoint !== undefined) excludedEndpoints.add(endpoint)
    Object.assign(progressOf.retry(context), { lastFailure: error, failedEndpoints: excludedEndpoints })
    // One overloaded member is no reason to burden the others.
    const elsewhere =
      error.code !== 'TOO_MANY_REQUESTS' && this.#options.hasUntriedEndpoint(context.route, excludedEndpoints)
    return { kind: elsewhere ? 'elsewhere' : 'later', error, context: { ...context, excludedEndpoints } }
  }

  /** Resolves when the call is counted as in flight again. */
  async #waitBefore(retries: number, queue: CallQueue, { kind, error, context }: Retry): Promise<number> {
    if (kind === 'later') await this.#delay(retries, error, context)
    return queue.isFull ? this.#turn(queue, context, error) : queue.enter()
  }

  async #delay(retries: number, error: EtcdError, context: CallContext): Promise<void> {
    const { minMs, ...backoff } = this.#delayAfter(error)
    const startedAt = performance.now()
    const leftMs = context.deadlineAt - startedAt - minAttemptMs
    // Half of the time left, so that a long delay does not use up the time for one more attempt.
    const delayMs = Math.max(minMs, Math.min(fullJitterMs(retries, backoff), leftMs / 2))
    if (delayMs >= leftMs) throw error
    await sleep(delayMs, context.signal, this.#options.closing)
    const now = performance.now()
    progressOf.retry(context).backoffMs += now - startedAt
    // The timer fired late: the member's error is more useful than a deadline error.
    if (now >= context.deadlineAt - minAttemptMs) throw error
  }

  #delayAfter({ code, effect }: EtcdError): RetryDelay {
    const { baseDelayMs: baseMs, maxDelayMs: maxMs } = this.#policy
    const usualDelay = { minMs: minDelayMs, baseMs, maxMs }
    if (code !== 'TOO_MANY_REQUESTS')
      return (effect === 'unknown' ? this.#options.unansweredDelay : undefined) ?? usualDelay
    const { minMs } = overloadDelay
    return { minMs, baseMs: Math.max(baseMs, overloadDelay.baseMs), maxMs: Math.max(maxMs, overloadDelay.maxMs) }
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
  if (code !== 'DEADLINE_EXCEEDED') return serverTimeouts.has(code)
  return effect === 'unknown' && performance.now() - startedAt - authMs - backoffMs >= minSlowMs
}

function mayRetry(error: unknown, context: CallContext): error is EtcdError {
  if (!isEtcdError(error) || !error.retryable) return false
  if (context.signal?.aborted === true || performance.now() >= context.deadlineAt) return false
  // The given member would refuse the call again.
  if (context.route.endpoint !== undefined && isForOtherMembers(error)) return false
  // Without an endpoint, the call has already waited for a connection as long as it may.
  if (error.code === 'NOT_CONNECTED' && error.endpoint === undefined) return false
  return error.effect === 'none' || context.repeatable
}

/** Whether only another member would accept the call. */
function isForOtherMembers({ code }: EtcdError): boolean {
  return code === 'NOT_SUPPORTED_FOR_LEARNER' || code === 'NOT_LEADER'
}
