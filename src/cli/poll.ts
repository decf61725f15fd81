import { sleep } from '../core/wait.js'

const everyMs = 20

/** Repeats `look` until it returns a value or the time limit is over. */
export async function poll<Value>(
  look: () => Value | undefined,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Value | undefined> {
  for (const giveUpAt = performance.now() + timeoutMs; ; ) {
    const value = look()
    if (value !== undefined || performance.now() >= giveUpAt) return value
    await sleep(everyMs, signal)
  }
}
