import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from './thrown.js'

/** Options of `poll()`. */
export interface PollOptions {
  /** @default 15000 */
  readonly timeoutMs?: number | undefined
  /** @default 10 */
  readonly intervalMs?: number | undefined
  /** Called after each failed attempt with its error, if any; throws to end the wait early. */
  readonly giveUp?: (error: unknown) => void
}

/**
 * Repeats an attempt until it returns a value.
 *
 * @param what the condition, for the error message: `gave up waiting 15000 ms until …`
 * @param attempt returns undefined, throws or rejects while the condition does not hold
 * @returns the first value other than undefined
 * @throws an `Error` after the time limit, with the last error of `attempt` as its cause; or what `giveUp` throws
 * @example
 * ```ts
 * import { Etcd } from 'etcdkit'
 * import { poll } from 'etcdkit/testing'
 *
 * await using etcd = new Etcd()
 * await poll('the key is deleted', async () => (await etcd.exists('key')) || undefined)
 * ```
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
  const reason = lastError === undefined ? '' : `: ${messageOf(lastError)}`
  return `gave up waiting ${timeoutMs} ms until ${what}${reason}`
}
