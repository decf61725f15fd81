/** The longest delay a Node timer takes, 25 days: it takes any longer one for 1 ms. */
export const longestTimerMs = 2 ** 31 - 1

/** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. Holds the process open meanwhile. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason)
      return
    }
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
