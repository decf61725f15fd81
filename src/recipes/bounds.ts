import { longestTimerMs } from '../core/abort.js'
import type { WaitBounds } from '../core/wait-within.js'

/** A signal that aborts with the caller's own, or with what `tooLate` makes when the time is over. */
export interface Bound {
  readonly signal: AbortSignal
  /** Takes the timer and the listener off again. */
  end(): void
}

/** Makes one signal of a signal and a time. */
export function boundOf({ signal, timeoutMs = Number.POSITIVE_INFINITY }: WaitBounds, tooLate: () => Error): Bound {
  const abort = new AbortController()
  const onAbort = (): void => abort.abort(signal?.reason)
  const timer = timeoutMs > longestTimerMs ? undefined : setTimeout(() => abort.abort(tooLate()), timeoutMs)
  if (signal?.aborted === true) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  return {
    signal: abort.signal,
    end: () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    },
  }
}
