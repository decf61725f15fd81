import { type EtcdError, isEtcdError } from '../core/errors.js'
import { type AttemptRecord, type CallOutcome, type CallRecord, channels, outcomeOf } from '../telemetry/channels.js'
import type { CallContext, Layer } from '../transport/transport.js'
import { type Method, methods } from '../wire/methods.js'

type AnyMethod = Pick<Method<unknown, unknown>, 'name' | 'readOnly'>

/**
 * The outermost layer: tells `etcdkit:call` what became of each call, and completes errors with what only the whole call
 * knows. Their stacks are taken here, where the caller's `await` is still on the asynchronous stack, so that calls which
 * succeed never pay for one.
 */
export function callObserver(): Layer {
  return (inner) => ({
    async unary(method, request, context) {
      try {
        const response = await inner.unary(method, request, context)
        if (channels.call.hasSubscribers) publishCall(method.name, context, { ok: true })
        return response
      } catch (error) {
        if (isEtcdError(error)) complete(error, method, context)
        if (channels.call.hasSubscribers) publishCall(method.name, context, outcomeOf(error))
        throw error
      }
    },
  })
}

/** Below the retry layer: tells `etcdkit:attempt` about each sending of a call. */
export function attemptObserver(): Layer {
  return (inner) => ({
    unary(method, request, context) {
      const sending = inner.unary(method, request, context)
      if (channels.attempt.hasSubscribers) publishAttempt(method.name, context, sending)
      return sending
    },
  })
}

function complete(error: EtcdError, method: AnyMethod, context: CallContext): void {
  // The layers below know that no answer came; that a read has no effect whatever became of it is known here.
  const effect = changesNothing(method, context) ? 'none' : error.effect
  Object.assign(error, { attempts: context.attempts, method: error.method ?? method.name, effect })
  Error.captureStackTrace(error)
}

/** A transaction that may be repeated holds reads alone. */
function changesNothing(method: AnyMethod, { repeatable }: CallContext): boolean {
  return method.readOnly || (repeatable && method.name === methods.KV.Txn.name)
}

function publishCall(method: string, context: CallContext, outcome: CallOutcome): void {
  const record: CallRecord = {
    method,
    durationMs: performance.now() - context.startedAt,
    connectMs: context.connectMs,
    backoffMs: context.backoffMs,
    attempts: context.attempts,
    endpoint: context.endpoint,
    responseBytes: context.responseBytes,
    outcome,
  }
  channels.call.publish(record)
}

function publishAttempt(method: string, context: CallContext, sending: Promise<unknown>): void {
  const startedAt = performance.now()
  const publish = (outcome: CallOutcome): void => {
    const record: AttemptRecord = {
      method,
      attempt: context.attempts,
      durationMs: performance.now() - startedAt,
      endpoint: context.endpoint,
      outcome,
    }
    channels.attempt.publish(record)
  }
  sending.then(
    () => publish({ ok: true }),
    (error: unknown) => publish(outcomeOf(error)),
  )
}
