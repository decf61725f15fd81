import { EtcdError } from '../core/errors.js'

/**
 * Why a lease can no longer be relied on:
 *
 * - `expired`: it was not renewed in time, because no member could be reached or none answered;
 * - `revoked`: it was revoked, here or elsewhere;
 * - `stalled`: this process did not run for longer than the remaining time: a blocked event loop, or a suspended process;
 * - `refused`: the members refuse to renew it: the user may not write one of its keys, or cannot authenticate;
 * - `closed`: `close()` was called on the lease or its client; the lease expires on the server.
 */
export type LeaseLostReason = 'expired' | 'revoked' | 'stalled' | 'refused' | 'closed'

const messages: Readonly<Record<LeaseLostReason, string>> = {
  expired: 'was not renewed in time',
  revoked: 'was revoked',
  stalled: 'expired while this process did not run',
  refused: 'was refused a renewal by the members',
  closed: 'is no longer renewed: it was closed',
}

/** The reason of the `signal` of a lost lease. */
export class LeaseLostError extends EtcdError {
  override readonly name = 'LeaseLostError'
  readonly leaseId: string
  readonly reason: LeaseLostReason

  constructor(leaseId: string, reason: LeaseLostReason, cause?: unknown) {
    super(`lease ${leaseId} ${messages[reason]}`, { code: 'LEASE_LOST', effect: 'none', cause })
    this.leaseId = leaseId
    this.reason = reason
  }
}

declare module '../core/errors.js' {
  interface ErrorClasses {
    readonly LEASE_LOST: LeaseLostError
  }
}
