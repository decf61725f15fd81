import { setTimeout as sleep } from 'node:timers/promises'

/** How long and how often to look, and what ends the wait early. */
export interface PollOptions {
  /** @default 15000 */
  readonly timeoutMs?: number | undefined
  /** @default 10 */
  readonly intervalMs?: number | undefined
  /** Called after each failed attempt with what it threw, if anything; throws when waiting on is of no use. */
  readonly giveUp?: (error: unknown) => void
}

/**
 * Repeats an attempt until it gives something other than undefined, and returns that.
 * An attempt that throws counts as not yet. After the time limit it rejects with the last error as the cause.
 */
export async function poll<T>(
  what: string,
  attempt: () => Promise<T | undefined> | T | undefined,
  { timeoutMs = 15_000, intervalMs = 10, giveUp }: PollOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let lastError: unknown
  for (;;) {
    let error: unknown
    try {
      const result = await attempt()
      if (result !== undefined) return result
    } catch (thrown) {
      error = thrown
      lastError = thrown
    }
    giveUp?.(error)
    if (performance.now() > deadline) throw new Error(timeoutMessage(what, timeoutMs, lastError), { cause: lastError })
    await sleep(intervalMs)
  }
}

function timeoutMessage(what: string, timeoutMs: number, lastError: unknown): string {
  const reason = lastError instanceof Error ? `: ${lastError.message}` : ''
  return `gave up waiting ${timeoutMs} ms until ${what}${reason}`
}
