import type { LeaseLostError, LeaseLostReason } from './lease-lost-error.js'

/** A client's events about its leases. */
export interface LeaseEvents {
  /** A lease was lost for another reason than a call of this client. */
  leaseLost: { readonly leaseId: string; readonly reason: LeaseLostReason; readonly error: LeaseLostError }
  /** The keep-alive stream was lost, or does not answer; renewals continue on another one. No lease is lost yet. */
  keepAliveLost: { readonly endpoint: string | undefined; readonly leases: number; readonly error: unknown }
  /** Leases are renewed again, `downMs` after `keepAliveLost`. */
  keepAliveResumed: { readonly endpoint: string; readonly leases: number; readonly downMs: number }
}
