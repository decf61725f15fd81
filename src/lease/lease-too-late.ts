import { EtcdError } from '../core/errors.js'

/** For a caller whose time is over before a lease was granted that several wait for. */
export function leaseTooLate(): EtcdError {
  return new EtcdError('the deadline passed while waiting for a lease', {
    code: 'DEADLINE_EXCEEDED',
    effect: 'none',
    retryable: true,
    method: 'Lease.LeaseGrant',
  })
}
