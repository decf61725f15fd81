import { setMaxListeners } from 'node:events'

/** The longest delay of a Node.js timer, 25 days. A timer with a longer one fires after 1 ms. */
export const longestTimerMs = 2 ** 31 - 1

const shared = new WeakSet<AbortSignal>()

/**
 * Lets any number of calls share a signal without Node's warning of a listener leak: each call removes its listener when it
 * ends.
 */
export function shareable(signal: AbortSignal): AbortSignal {
  if (!shared.has(signal)) setMaxListeners(0, signal)
  shared.add(signal)
  return signal
}

/** Calls `listener` when `signal` aborts, or now if it has. Returns a function that removes the listener. */
export function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (signal === undefined) return ignore
  const onEvent = (): void => listener(signal.reason)
  if (signal.aborted) {
    onEvent()
    return ignore
  }
  signal.addEventListener('abort', onEvent, { once: true })
  return () => signal.removeEventListener('abort', onEvent)
}

function ignore(): void {}

/**
 * Runs `work` with a signal that aborts when one of `signals` does, and removes its listeners from them when the work has
 * ended. `AbortSignal.any` leaves a reference in each of them for as long as they live, in Node 20 for good.
 */
export async function withAnySignal<T>(
  signals: readonly (AbortSignal | undefined)[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const either = new AbortController()
  const removals = signals.map((signal) => onAbort(signal && shareable(signal), (reason) => either.abort(reason)))
  try {
    return await work(either.signal)
  } finally {
    for (const remove of removals) remove()
  }
}
