import type { Finding } from '../finding.js'
import { faultsOf, isUnsupported, oldestSupported, releaseWithout } from '../known-faults.js'
import { answering, type ClusterReport } from '../report.js'

/** Releases with known bugs, unsupported ones, and mixed versions. */
export function versionFindings(report: ClusterReport): Finding[] {
  const members = answering(report)
  const versions = [...new Set(members.map(({ answer }) => answer.version))].sort()
  const namesWith = (version: string): string[] =>
    members.filter(({ answer }) => answer.version === version).map(({ name }) => name)
  return [
    ...versions.flatMap((version) => unsupported(version, namesWith(version))),
    ...versions.flatMap((version) => faulty(version, namesWith(version), report)),
    ...mixed(versions, namesWith),
  ]
}

function unsupported(version: string, members: readonly string[]): Finding[] {
  if (!isUnsupported(version)) return []
  return [
    {
      id: 'unsupported-version',
      severity: 'warning',
      members,
      title: `etcd ${version} is no longer supported`,
      advice: [`Upgrade one minor release and one member at a time, to ${oldestSupported} or later.`],
    },
  ]
}

function faulty(version: string, members: readonly string[], { authEnabled }: ClusterReport): Finding[] {
  const faults = faultsOf(version, authEnabled === true)
  if (faults.length === 0) return []
  return [
    {
      id: 'known-faults',
      // Operators change learners, rarely; the other bugs affect clients.
      severity: faults.some(({ kind }) => kind !== 'membership') ? 'warning' : 'advice',
      members,
      title: `etcd ${version} has known bugs (${[...new Set(faults.map(({ kind }) => kind))].join(', ')}), fixed in ${releaseWithout(version, faults)}`,
      advice: [
        ...faults.map(({ kind, text }) => `${kind}: ${text}.`),
        `Upgrade to ${releaseWithout(version, faults)} or later, one member at a time.`,
      ],
    },
  ]
}

function mixed(versions: readonly string[], namesWith: (version: string) => string[]): Finding[] {
  if (versions.length < 2) return []
  const seriesCount = new Set(versions.map((version) => version.split('.').slice(0, 2).join('.'))).size
  return [
    {
      id: 'mixed-versions',
      severity: seriesCount > 1 ? 'warning' : 'advice',
      members: versions.flatMap(namesWith),
      title: `The members run different releases: ${versions.map((version) => `${version} (${namesWith(version).join(', ')})`).join(', ')}`,
      advice: ['Finish the upgrade: until then the cluster has the features of its oldest member.'],
    },
  ]
}
