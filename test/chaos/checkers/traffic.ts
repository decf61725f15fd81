import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** A run in which some kind of operation never succeeds proves nothing. */
export function trafficViolations({ records }: Evidence): string[] {
  const operations = of(records, 'done').flatMap(({ operations }) => operations)
  if (operations.length === 0) return ['no worker has finished']
  const succeeded = new Set(operations.filter(({ outcome }) => outcome === 'ok').map(({ workload }) => workload))
  const workloads = new Set(operations.map(({ workload }) => workload))
  return [...workloads]
    .filter((workload) => !succeeded.has(workload))
    .map((workload) => `no operation of the kind '${workload}' has ever succeeded`)
}
