import { sleep } from '../core/wait.js'

const everyMs = 20

/** Looks until there is something to see, or until it took too long. */
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
