import type { Check, Finding, Severity } from './finding.js'
import { availabilityFindings, lagFindings } from './findings/availability.js'
import { securityFindings } from './findings/security.js'
import { spaceFindings } from './findings/space.js'
import { timingFindings } from './findings/timing.js'
import { usageFindings } from './findings/usage.js'
import { versionFindings } from './findings/versions.js'
import type { ClusterReport } from './report.js'

const checks: readonly Check[] = [
  availabilityFindings,
  spaceFindings,
  lagFindings,
  timingFindings,
  securityFindings,
  versionFindings,
  usageFindings,
]

const order: readonly Severity[] = ['critical', 'warning', 'advice']

/** All findings of a cluster, most severe first. */
export function findingsOf(report: ClusterReport): Finding[] {
  return checks.flatMap((check) => check(report)).sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
}
