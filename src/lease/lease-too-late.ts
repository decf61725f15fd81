import { EtcdError } from '../core/errors.js'
import { notInTime, type Obstacle } from '../core/wait-within.js'

/** Makes the error of a caller whose time is over before a lease was granted that several wait for. */
export function leaseTooLate(obstacle: Obstacle | undefined): () => EtcdError {
  return () => notInTime('the deadline passed while waiting for a lease', obstacle?.())
}

/** For a caller whose key was written, but whose time is over before the lease of the key was renewed. */
export function renewalTooLate(): EtcdError {
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
