import pRetry from 'p-retry'
import { sleep } from '../core/abort.js'
import { fullJitterMs } from '../core/backoff.js'
import { type EtcdError, isEtcdError } from '../core/errors.js'
import type { CallContext, Layer, Route, Transport } from '../transport/transport.js'
import type { Method } from '../wire/methods.js'
import type { RetryBudget } from './retry-budget.js'

/** What the retry layer works with. */
export interface RetryOptions {
  readonly budget: RetryBudget
  /** Whether a healthy member is left that has not failed the call: it is then tried without a wait. */
  readonly hasFresh: (route: Route, failedOn: ReadonlySet<string>) => boolean
  /** Aborts when the client is closed: calls that wait then go on at once, and find it closed. */
  readonly closing?: AbortSignal
}

const backoff = { baseMs: 25, maxMs: 500 }
/** The server's queue is over 5000 entries behind: it needs time more than it needs another request. */
const overloadBackoff = { baseMs: 200, maxMs: 5000 }

/** What came of a call that is not to be repeated; p-retry itself only ever sees failures that are. */
type Final<Response> = { readonly response: Response } | { readonly failure: unknown }

/**
 * Repeats calls that failed, within their deadline, where nothing can have been applied twice: any call whose error says
 * that it had no effect and may succeed elsewhere or later, and a repeatable call after any passing failure. The first
 * repeat goes to another member at once where there is one; then exponential backoff with full jitter.
 */
export function retryLayer({ budget, hasFresh, closing }: RetryOptions): Layer {
  return (inner) => ({
    async unary(method, request, context) {
      try {
        const response = await inner.unary(method, request, context)
        budget.deposit()
        return response
      } catch (error) {
        if (!mayRepeat(error, context)) throw error
        await waitBefore(1, error, context)
      }
      let repeats = 1
      const final = await pRetry(() => tryOnce(inner, method, request, context), {
        // Neither p-retry's count nor its delays are wanted: the deadline is the bound, and the waits are made below.
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 0,
        factor: 1,
        onFailedAttempt: ({ error }) => {
          repeats += 1
          return waitBefore(repeats, error, context)
        },
      })
      if ('failure' in final) throw final.failure
      return final.response
    },
  })

  async function waitBefore(repeat: number, error: unknown, context: CallContext): Promise<void> {
    const overload = isEtcdError(error, 'TOO_MANY_REQUESTS')
    const failedOn = context.failedOn ?? new Set()
    context.failedOn = failedOn
    if (context.endpoint !== undefined) failedOn.add(context.endpoint)
    const elsewhere = !overload && hasFresh(context.route, failedOn)
    const delayMs = elsewhere ? 0 : fullJitterMs(repeat, overload ? overloadBackoff : backoff)
    const startedAt = performance.now()
    if (startedAt + delayMs >= context.deadlineAt) throw error
    if (!(await budget.take(context, closing))) throw error
    if (delayMs > 0) await sleep(delayMs, context.signal, closing)
    context.backoffMs += performance.now() - startedAt
    // A timer that came late: what the member said tells more than that the time is over.
    if (performance.now() >= context.deadlineAt) throw error
  }
}

async function tryOnce<Request, Response>(
  inner: Transport,
  method: Method<Request, Response>,
  request: Request,
  context: CallContext,
): Promise<Final<Response>> {
  try {
    return { response: await inner.unary(method, request, context) }
  } catch (error) {
    if (mayRepeat(error, context)) throw error
    return { failure: error }
  }
}

function mayRepeat(error: unknown, context: CallContext): error is EtcdError {
  if (!isEtcdError(error) || !error.retryable) return false
  if (context.signal?.aborted === true || performance.now() >= context.deadlineAt) return false
  // The one member that was to be asked would refuse it again.
  if (context.route.endpoint !== undefined && isForOthers(error)) return false
  // Without an endpoint, the balancer has already waited for a connection as long as it may.
  if (error.code === 'NOT_CONNECTED' && error.endpoint === undefined) return false
  return error.effect === 'none' || context.repeatable
}

/** Whether only another member would take the call. */
function isForOthers({ code }: EtcdError): boolean {
  return code === 'NOT_SUPPORTED_FOR_LEARNER' || code === 'NOT_LEADER'
}
