import { EtcdError, isEtcdError } from '../core/errors.js'
import type { Obstacle } from '../core/wait.js'
import { type Method, methods } from '../protobuf/methods.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type { CallContext, Interceptor } from '../transport/transport.js'
import { attemptsAreObserved, CallTrace, callsAreObserved, type RoleOf, traceAttempt } from './call-trace.js'

type AnyMethod = Pick<Method<unknown, unknown>, 'name' | 'readOnly'>

/**
 * The outermost interceptor: publishes a record of each call while somebody subscribes, and completes errors with what only
 * the whole call knows. Their stacks are captured here, where the caller's `await` is still on the asynchronous stack, so
 * that successful calls never pay for one.
 */
export function callObserver(telemetry: ClientTelemetry, roleOf: RoleOf, obstacle?: Obstacle): Interceptor {
  // Two functions, so that a call that nobody observes allocates nothing for the other case. Each caller's `await` follows
  // them on the stack, so neither may be returned by another async function.
  const observed: Interceptor = async (method, request, context, next) => {
    const trace = new CallTrace(telemetry, roleOf, method, request, context)
    try {
      const response = await trace.run(() => next(method, request, context))
      trace.succeeded(response)
      return response
    } catch (failure) {
      const error = completed(failure, method, context, obstacle)
      trace.failed(error)
      throw error
    }
  }
  const unobserved: Interceptor = async (method, request, context, next) => {
    try {
      return await next(method, request, context)
    } catch (failure) {
      throw completed(failure, method, context, obstacle)
    }
  }
  return (method, request, context, next) => {
    const call = callsAreObserved() ? observed : unobserved
    return call(method, request, context, next)
  }
}

/** The innermost observer: publishes a record of each attempt while somebody subscribes. */
export function attemptObserver(telemetry: ClientTelemetry): Interceptor {
  return (method, request, context, next) => {
    if (!attemptsAreObserved()) return next(method, request, context)
    return traceAttempt({ telemetry, method, request, context, next })
  }
}

/** Adds the reason to an error of a passed deadline: why nothing can be sent now, or the failure of the last attempt. */
function withCause(error: unknown, context: CallContext, obstacle: Obstacle | undefined): unknown {
  if (!isEtcdError(error, 'DEADLINE_EXCEEDED') || error.cause !== undefined) return error
  const cause = obstacle?.() ?? context.progress.lastFailure
  if (cause === undefined) return error
  const { code, effect, retryable, endpoint, method, grpcCode, rawMessage } = error
  const init = { code, effect, retryable, endpoint, method, grpcCode, cause }
  return new EtcdError(`${rawMessage}: ${cause.message}`, init)
}

function completed(failure: unknown, method: AnyMethod, context: CallContext, obstacle: Obstacle | undefined): unknown {
  const error = withCause(failure, context, obstacle)
  if (!isEtcdError(error)) return error
  const { mayBeApplied, attempts } = context.progress
  // The transport knows only that no response came. A read has no effect in any case, and an attempt before the last one
  // may have been applied.
  const sent = mayBeApplied ? 'unknown' : error.effect
  const effect = changesNothing(method, context) ? 'none' : sent
  Object.assign(error, { attempts, method: error.method ?? method.name, effect })
  Error.captureStackTrace(error)
  return error
}

/** A transaction that is repeatable has reads alone. */
function changesNothing(method: AnyMethod, { repeatable }: CallContext): boolean {
  return method.readOnly || (repeatable && method.name === methods.KV.Txn.name)
}
