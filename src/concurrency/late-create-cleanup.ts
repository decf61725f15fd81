import type { Session } from '../lease/session.js'

const delays = { firstMs: 1000, maxMs: 60_000 }

/**
 * Runs `deleteKey` again and again, at growing intervals, until the lease ends: a member may still apply the creation of the
 * key, from a request that was never answered, and the key would then block everybody for as long as the lease is shared.
 * Does not keep the process alive.
 */
export function deleteLateCreates(
  session: Session,
  deleteKey: () => Promise<unknown>,
  delayMs: number = delays.firstMs,
): void {
  const { signal } = session
  if (signal.aborted) return
  const stop = (): void => clearTimeout(timer)
  const timer = setTimeout(async () => {
    signal.removeEventListener('abort', stop)
    await deleteKey().catch(() => {})
    deleteLateCreates(session, deleteKey, Math.min(delays.maxMs, delayMs * 2))
  }, delayMs)
  timer.unref()
  signal.addEventListener('abort', stop, { once: true })
}
