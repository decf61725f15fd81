import { halfJitterMs } from '../../core/backoff.js'

/**
 * Why a connected member was ejected, so that it gets no calls until a probe succeeds:
 *
 * - `unresponsive`: calls are in flight, and no byte has come from it, not even in response to a probe;
 * - `unavailable`: it answers, but not as a member of etcd: a proxy or a balancer whose member is down;
 * - `no leader`: it cannot serve writes and linearizable reads; serializable reads are still sent to it where no member has
 *   a leader;
 * - `other cluster`: it belongs to another cluster.
 */
export type EjectReason = 'unresponsive' | 'unavailable' | 'no leader' | 'other cluster'

const backoffs: Readonly<Record<EjectReason, { readonly baseMs: number; readonly maxMs: number }>> = {
  unresponsive: { baseMs: 250, maxMs: 2000 },
  unavailable: { baseMs: 250, maxMs: 2000 },
  'no leader': { baseMs: 50, maxMs: 500 },
  'other cluster': { baseMs: 1000, maxMs: 30_000 },
}

/** How long a member stays ejected before it is probed again, by the number of consecutive ejections. */
export function ejectionMs(ejections: number, reason: EjectReason): number {
  return halfJitterMs(ejections, backoffs[reason])
}
