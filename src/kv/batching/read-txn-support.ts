import type { Route } from '../../transport/transport.js'

/** What is known of a member that may be given a transaction of reads. */
export interface ServingMember {
  readonly role: string | undefined
  readonly version: string | undefined
}

/**
 * Whether reads of this route can be put into a transaction.
 *
 * A learner serves serializable reads, but no transactions. And a member of 3.5.0 to 3.5.6 crashes when a transaction of
 * reads is canceled at the wrong moment (etcd issues 14110 and 14891).
 */
export function servesReadTxns(members: readonly ServingMember[], { serializable, prefer }: Route): boolean {
  const mayAskLearner = serializable && (prefer === 'nearest' || prefer === 'learner')
  return !members.some(({ role, version }) => crashesOnCancel(version) || (mayAskLearner && role === 'learner'))
}

function crashesOnCancel(version: string | undefined): boolean {
  return version !== undefined && /^3\.5\.[0-6](?!\d)/.test(version)
}
