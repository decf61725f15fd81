import type { Layer } from '../transport/transport.js'

/** Gives each call its deadline: the caller's `timeoutMs`, or the client's. It bounds all attempts together. */
export function deadlineLayer(defaultTimeoutMs: number): Layer {
  return (inner) => ({
    unary(method, request, context) {
      context.deadlineAt = context.startedAt + (context.timeoutMs ?? defaultTimeoutMs)
      return inner.unary(method, request, context)
    },
  })
}
