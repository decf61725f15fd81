import { EtcdError, isEtcdError } from '../core/errors.js'
import type { Obstacle } from '../core/wait.js'
import { type Method, methods } from '../protobuf/methods.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type { CallContext, Interceptor } from '../transport/transport.js'
import { attemptsAreObserved, CallTrace, callsAreObserved, type RoleOf, traceAttempt } from './call-trace.js'

type AnyMethod = Pick<Method<unknown, unknown>, 'name' | 'readOnly'>

/**
 * The outermost layer: tells what became of each call to who listens, and completes errors with what only the whole call
 * knows. Their stacks are taken here, where the caller's `await` is still on the asynchronous stack, so that calls which
 * succeed never pay for one.
 */
export function callObserver(telemetry: ClientTelemetry, roleOf: RoleOf, obstacle?: Obstacle): Interceptor {
  return async (method, request, context, next) => {
    const trace = callsAreObserved() ? new CallTrace(telemetry, roleOf, method, request, context) : undefined
    try {
      if (trace === undefined) return await next(method, request, context)
      const response = await trace.run(() => next(method, request, context))
      trace.succeeded(response)
      return response
    } catch (failure) {
      const error = explained(failure, context, obstacle)
      if (isEtcdError(error)) complete(error, method, context)
      trace?.failed(error)
      throw error
    }
  }
}

/** Next to the wire: tells of each sending of a call to who listens. */
export function attemptObserver(telemetry: ClientTelemetry): Interceptor {
  return (method, request, context, next) => {
    if (!attemptsAreObserved()) return next(method, request, context)
    return traceAttempt({ telemetry, method, request, context }, () => next(method, request, context))
  }
}

/** Of a call whose time is over: with the reason that nothing can be sent now, or that it was tried again before. */
function explained(error: unknown, context: CallContext, obstacle: Obstacle | undefined): unknown {
  if (!isEtcdError(error, 'DEADLINE_EXCEEDED') || error.cause !== undefined) return error
  const cause = obstacle?.() ?? context.progress.lastFailure
  if (cause === undefined) return error
  const { code, effect, retryable, endpoint, method, grpcCode, rawMessage } = error
  const init = { code, effect, retryable, endpoint, method, grpcCode, cause }
  return new EtcdError(`${rawMessage}: ${cause.message}`, init)
}

function complete(error: EtcdError, method: AnyMethod, context: CallContext): void {
  // The layers below know that no answer came; that a read has no effect whatever became of it is known here,
  // and that an attempt before the last one may have done what the last one did not.
  const { mayBeApplied, attempts } = context.progress
  const sent = mayBeApplied ? 'unknown' : error.effect
  const effect = changesNothing(method, context) ? 'none' : sent
  Object.assign(error, { attempts, method: error.method ?? method.name, effect })
  Error.captureStackTrace(error)
}

/** A transaction that may be repeated holds reads alone. */
function changesNothing(method: AnyMethod, { repeatable }: CallContext): boolean {
  return method.readOnly || (repeatable && method.name === methods.KV.Txn.name)
}
