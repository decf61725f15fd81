import type { Interceptor } from '../transport/transport.js'

/** Gives calls without a `timeoutMs` the client's deadline. It bounds all attempts together. */
export function deadlineInterceptor(defaultTimeoutMs: number): Interceptor {
  return (method, request, context, next) => {
    if (context.timeoutMs !== undefined) return next(method, request, context)
    return next(method, request, { ...context, deadlineAt: context.startedAt + defaultTimeoutMs })
  }
}
