import { halfJitterMs } from '../../core/backoff.js'

/**
 * Why a connected member gets no calls for a while:
 *
 * - `unresponsive`: it did not answer for as long as `Connection.tick` waits;
 * - `no leader`: it cannot serve writes and linearizable reads; serializable reads still may go there;
 * - `other cluster`: it belongs to another cluster.
 */
export type EjectReason = 'unresponsive' | 'no leader' | 'other cluster'

const backoffs: Readonly<Record<EjectReason, { readonly baseMs: number; readonly maxMs: number }>> = {
  unresponsive: { baseMs: 250, maxMs: 2000 },
  'no leader': { baseMs: 50, maxMs: 500 },
  'other cluster': { baseMs: 1000, maxMs: 30_000 },
}

/** How long a member stays ejected before it is probed again, by how often it was ejected in a row. */
export function ejectionMs(ejections: number, reason: EjectReason): number {
  return halfJitterMs(ejections, backoffs[reason])
}
