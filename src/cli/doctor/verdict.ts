import type { Finding, Severity } from './finding.js'

/** The findings of a cluster in one sentence. */
export interface DoctorVerdict {
  /** The worst severity that needs action; undefined for a healthy cluster. */
  readonly worst: 'critical' | 'warning' | undefined
  /** `2 critical, 1 warning`, or that the cluster is healthy. */
  readonly main: string
  /** What needs no action. */
  readonly tail: string
}

/** Sums up findings. */
export function verdictOf(findings: readonly Finding[]): DoctorVerdict {
  const count = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length
  const [critical, warnings, advice] = [count('critical'), count('warning'), count('advice')]
  const tail = advice === 0 ? '' : `, ${advice} ${advice === 1 ? 'piece' : 'pieces'} of advice`
  if (critical + warnings === 0) return { worst: undefined, main: 'The cluster is healthy', tail }
  const parts = [
    critical === 0 ? '' : `${critical} critical`,
    warnings === 0 ? '' : `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`,
  ]
  const main = parts.filter((part) => part !== '').join(', ')
  return { worst: critical > 0 ? 'critical' : 'warning', main, tail }
}
