import type { ClusterReport } from './report.js'

/**
 * How much a finding matters.
 *
 * - `critical`: the cluster does not serve, or will stop soon;
 * - `warning`: it needs action, though it serves;
 * - `advice`: it could be better; nothing has to be done now.
 */
export type Severity = 'critical' | 'warning' | 'advice'

/** Something about a cluster that somebody should know. */
export interface Finding {
  /** What it is, for programs. */
  readonly id: string
  readonly severity: Severity
  /** The names of the members that it is about; none for the cluster as a whole. */
  readonly members: readonly string[]
  /** What was found, with its numbers. */
  readonly title: string
  /** What to do about it, one step a line. */
  readonly advice: readonly string[]
}

/** Looks for one kind of trouble. */
export type Check = (report: ClusterReport) => readonly Finding[]

/** Whether somebody has to do something. */
export function needsAction({ severity }: Finding): boolean {
  return severity !== 'advice'
}
