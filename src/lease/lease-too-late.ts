import type { EtcdError } from '../core/errors.js'
import { notInTime, type Obstacle } from '../core/wait-within.js'

/** Makes the error of a caller whose time is over before a lease was granted that several wait for. */
export function leaseTooLate(obstacle: Obstacle | undefined): () => EtcdError {
  return () => notInTime('the deadline passed while waiting for a lease', obstacle?.())
}
