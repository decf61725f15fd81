/** What is left of `timeoutMs` at each call, counted from now; without one, every call has the client's own. */
export function timeLeft(timeoutMs: number | undefined): () => number | undefined {
  if (timeoutMs === undefined) return () => undefined
  const deadlineAt = performance.now() + timeoutMs
  return () => Math.max(0, deadlineAt - performance.now())
}
