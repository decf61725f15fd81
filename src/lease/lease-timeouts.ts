import { EtcdError, isEtcdError } from '../core/errors.js'
import { notInTime, type Obstacle, timeLeft, type WaitBounds, waitWithin } from '../core/wait.js'

/** Makes the error of a caller whose time is over before a lease was granted that several wait for. */
export function grantTimeout(obstacle: Obstacle | undefined): () => EtcdError {
  return () => notInTime('the deadline passed while waiting for a lease', obstacle?.())
}

/**
 * The waits of one caller for grants that several share. A grant has a separate time limit: where that is over before the
 * caller's is, the wait resolves to nothing, and the caller asks for another grant.
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

/** For a caller whose key was written, but whose time is over before the lease of the key was renewed. */
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
