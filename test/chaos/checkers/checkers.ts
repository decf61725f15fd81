import type { HistoryEvent } from '../recorder.js'
import type { ChaosRecord } from '../records.js'
import { changeViolations } from './changes.js'
import { leaseViolations } from './leases.js'
import { linearizabilityViolations } from './linearizability.js'
import { lockViolations } from './locks.js'
import { noEffectViolations } from './no-effect.js'
import { of } from './of.js'
import { queueViolations } from './queue.js'
import { readViolations } from './reads.js'
import { singleWriteViolations } from './single-writes.js'
import { sumViolations } from './sums.js'
import { trafficViolations } from './traffic.js'
import { viewViolations } from './views.js'
import { watchViolations } from './watches.js'

/** What the checkers judge: the history of the cluster, as etcdctl saw it, and what the clients saw. */
export interface Evidence {
  readonly history: readonly HistoryEvent[]
  readonly records: readonly ChaosRecord[]
}

/** Each returns a sentence for each promise that was broken. */
export const checkers: Readonly<Record<string, (evidence: Evidence) => readonly string[]>> = {
  linearizability: linearizabilityViolations,
  'watch guarantees': watchViolations,
  'informers, reads and listings': viewViolations,
  'changes of informers': changeViolations,
  'serializable reads': readViolations,
  'locks and fences': lockViolations,
  'exactly-once queue': queueViolations,
  'sums of transactions': sumViolations,
  leases: leaseViolations,
  'at-most-once writes': singleWriteViolations,
  'effect none': noEffectViolations,
  traffic: trafficViolations,
  'typed errors': ({ records }) =>
    of(records, 'trouble').map(({ workload, error }) => `${workload} failed with ${error.slice(0, 500)}`),
}
