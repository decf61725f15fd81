import type { LeaseLostError, LeaseLostReason } from './lease-lost-error.js'

/** A client's events about its leases. */
export interface LeaseEvents {
  /** A lease can no longer be relied on, for another reason than a call of this client. */
  leaseLost: { readonly leaseId: string; readonly reason: LeaseLostReason; readonly error: LeaseLostError }
  /** The stream that renews the leases was lost, or is given up as silent; another one is used, and nothing is lost yet. */
  keepAliveLost: { readonly endpoint: string | undefined; readonly leases: number; readonly error: unknown }
  /** Leases are renewed again. */
  keepAliveResumed: { readonly endpoint: string; readonly leases: number; readonly downMs: number }
}
