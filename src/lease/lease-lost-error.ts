import { EtcdError } from '../core/errors.js'

/**
 * Why a lease is no longer to be relied on.
 *
 * - `expired`: it was not renewed in time, since no member could be reached or none answered.
 * - `revoked`: it was ended before its time: by `revoke()`, here or elsewhere.
 * - `stalled`: this process did not run for longer than the lease had left: a blocked event loop, a stopped process.
 * - `refused`: the members refuse to renew it: this user may not write one of its keys, or is no longer let in.
 * - `closed`: `close()` was called, on the lease or on its client; the server ends it when its time is over.
 */
export type LeaseLostReason = 'expired' | 'revoked' | 'stalled' | 'refused' | 'closed'

const messages: Readonly<Record<LeaseLostReason, string>> = {
  expired: 'was not renewed in time',
  revoked: 'was revoked',
  stalled: 'ran out while this process did not run',
  refused: 'is not renewed by the members',
  closed: 'is no longer renewed: it was closed',
}

/** What the signal of a lease aborts with. */
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
