import { setMaxListeners } from 'node:events'

/** The longest delay a Node timer takes, 25 days: it takes any longer one for 1 ms. */
export const longestTimerMs = 2 ** 31 - 1

const shared = new WeakSet<AbortSignal>()

/**
 * Lets any number of calls share a signal. Each takes its listener off again when it ends, so Node's warning of a
 * leak, which comes at the eleventh, would be a false one.
 */
export function shareable(signal: AbortSignal): AbortSignal {
  if (!shared.has(signal)) setMaxListeners(0, signal)
  shared.add(signal)
  return signal
}

/**
 * Runs `work` with a signal that aborts when one of `signals` does, and takes its listeners off them when the work has ended.
 * `AbortSignal.any` leaves a reference in each of them for as long as they live, in Node 20 for good.
 */
export async function withAnySignal<T>(
  signals: readonly (AbortSignal | undefined)[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const either = new AbortController()
  const leave: (() => void)[] = []
  for (const signal of signals) {
    if (signal === undefined) continue
    const onAbort = (): void => either.abort(signal.reason)
    if (signal.aborted) onAbort()
    shareable(signal).addEventListener('abort', onAbort, { once: true })
    leave.push(() => signal.removeEventListener('abort', onAbort))
  }
  try {
    return await work(either.signal)
  } finally {
    for (const leaveOne of leave) leaveOne()
  }
}

/**
 * Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. Holds the process open meanwhile. When
 * `waking` aborts, it is over, as if the time were.
 */
export function sleep(ms: number, signal: AbortSignal | undefined, waking?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason)
      return
    }
    const leave = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      waking?.removeEventListener('abort', onWake)
    }
    const onAbort = (): void => {
      leave()
      reject(signal?.reason)
    }
    const onWake = (): void => {
      leave()
      resolve()
    }
    const timer = setTimeout(onWake, waking?.aborted === true ? 0 : ms)
    signal?.addEventListener('abort', onAbort)
    waking?.addEventListener('abort', onWake)
  })
}
