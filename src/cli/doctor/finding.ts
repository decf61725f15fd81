import type { ClusterReport } from './report.js'

/**
 * How much a finding matters.
 *
 * - `critical`: the cluster does not serve, or will soon stop serving;
 * - `warning`: the cluster serves, but needs action;
 * - `advice`: an improvement; no action is needed now.
 */
export type Severity = 'critical' | 'warning' | 'advice'

/** A problem of a cluster, or advice. */
export interface Finding {
  /** A stable identifier. */
  readonly id: string
  readonly severity: Severity
  /** The names of the affected members; empty for the cluster as a whole. */
  readonly members: readonly string[]
  /** The finding, with its numbers. */
  readonly title: string
  /** Remedies, one step per line. */
  readonly advice: readonly string[]
}

/** Checks a report for one kind of problem. */
export type Check = (report: ClusterReport) => readonly Finding[]

/** Whether a finding needs action. */
export function needsAction({ severity }: Finding): boolean {
  return severity !== 'advice'
}
