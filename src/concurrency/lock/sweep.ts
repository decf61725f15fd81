import type { LockKey } from './lock-key.js'

const delays = { firstMs: 1000, mostMs: 60_000 }

/**
 * Looks after a key that a member may still create, from a request whose answer never came, until the lease is over: it
 * would keep the lock from everybody else for as long as others have a part in the lease. Holds no process open.
 */
export function sweepLater(key: Pick<LockKey, 'session' | 'sweep'>, delayMs: number = delays.firstMs): void {
  const { signal } = key.session
  if (signal.aborted) return
  const stop = (): void => clearTimeout(timer)
  const timer = setTimeout(async () => {
    signal.removeEventListener('abort', stop)
    await key.sweep().catch(() => {})
    sweepLater(key, Math.min(delays.mostMs, delayMs * 2))
  }, delayMs)
  timer.unref()
  signal.addEventListener('abort', stop, { once: true })
}
