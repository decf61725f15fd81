import { EtcdError, isEtcdError } from '../core/errors.js'
import { notInTime, type Obstacle, timeLeft, type WaitBounds, waitWithin } from '../core/wait.js'

/** How long `close()` of a client waits for grants and revocations. */
export const closingMs = 1000

/** Makes the error of a caller whose time limit passed before a shared lease was granted. */
export function grantTimeout(obstacle: Obstacle | undefined): () => EtcdError {
  return () => notInTime('the deadline passed while waiting for a lease', obstacle?.())
}

/**
 * Waits of one caller for grants that several callers share. A grant has its own time limit: if that passes before the
 * caller's, the wait resolves to `undefined`, and the caller starts another grant.
 */
export function grantWaiter(
  { signal, timeoutMs }: WaitBounds,
  timedOut: () => Error,
): <T>(granting: Promise<T>) => Promise<T | undefined> {
  const left = timeLeft(timeoutMs)
  return async (granting) => {
    try {
      return await waitWithin(granting, { signal, timeoutMs: left() }, timedOut)
    } catch (error) {
      if (!isEtcdError(error, 'DEADLINE_EXCEEDED') || (left() ?? 0) === 0) throw error
      return undefined
    }
  }
}

/** The error of a caller whose key was written, but whose time limit passed before the lease of the key was renewed. */
export function renewalTimeout(): EtcdError {
  return new EtcdError(
    'the key was written, but its lease was not renewed before the deadline: the key may end early',
    {
      code: 'DEADLINE_EXCEEDED',
      effect: 'unknown',
      retryable: true,
      method: 'Lease.LeaseKeepAlive',
    },
  )
}

/** Waits until a grant or what depends on it has settled, at most as long as `close()` of a client may take. */
export async function settledSoon(granting: Promise<void>): Promise<void> {
  await waitWithin(granting, { timeoutMs: closingMs }, grantTimeout(undefined)).catch(() => {})
}
