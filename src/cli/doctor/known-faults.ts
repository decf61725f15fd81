/** A bug of older etcd releases that affects users. */
export interface KnownFault {
  readonly kind: 'watch' | 'lease' | 'reads' | 'security' | 'membership'
  readonly text: string
  /** The first patch release of each series, such as `3.5`, without the bug. Other series are not affected, as far as known. */
  readonly fixedIn: Readonly<Record<string, number>>
  /** Affects only clusters with authentication. */
  readonly needsAuth?: true
}

/** From the changelogs of etcd. */
export const knownFaults: readonly KnownFault[] = [
  {
    kind: 'watch',
    text: 'a progress notification can overtake events, so that a resumed watch misses them',
    fixedIn: { '3.4': 25, '3.5': 8 },
  },
  {
    kind: 'watch',
    text: 'a watch can starve or lose events after a compaction, and a progress request can race with events',
    fixedIn: { '3.4': 31, '3.5': 13 },
  },
  {
    kind: 'watch',
    text: 'the deletion of a key can be missing from a watch when its revision is compacted',
    fixedIn: { '3.4': 36, '3.5': 18 },
  },
  {
    kind: 'watch',
    text: 'a watch from a future revision can receive older events',
    fixedIn: { '3.4': 38, '3.5': 22, '3.6': 2 },
  },
  { kind: 'lease', text: 'renewing a revoked lease can succeed', fixedIn: { '3.6': 5 } },
  {
    kind: 'reads',
    text: 'a linearizable read can be stale after a leader change or a paused process',
    fixedIn: { '3.4': 42, '3.5': 28, '3.6': 9 },
  },
  {
    kind: 'security',
    text: 'users can call lease, member and alarm methods without permission (CVE-2026-33413), and bypass roles with nested transactions (CVE-2026-33343)',
    fixedIn: { '3.4': 42, '3.5': 28, '3.6': 9 },
    needsAuth: true,
  },
  {
    kind: 'security',
    text: 'an open-ended watch shows keys that the user has no permission to read (GHSA-xg4h-6gfc-h4m8)',
    fixedIn: { '3.6': 14, '3.7': 1 },
    needsAuth: true,
  },
  {
    kind: 'membership',
    text: 'changing a learner’s peer URL can promote it',
    fixedIn: { '3.5': 32, '3.6': 12 },
  },
]

/** The oldest supported series. */
export const oldestSupported = '3.5'

/** The known bugs of a release. */
export function faultsOf(version: string, authEnabled: boolean): readonly KnownFault[] {
  const [, series = '', patch = ''] = /^(\d+\.\d+)\.(\d+)/.exec(version) ?? []
  return knownFaults.filter(({ fixedIn, needsAuth }) => {
    const fixed = fixedIn[series]
    return fixed !== undefined && Number(patch) < fixed && (authEnabled || needsAuth !== true)
  })
}

/** The first release of a version's series without any of these bugs. */
export function releaseWithout(version: string, faults: readonly KnownFault[]): string {
  const [, series = ''] = /^(\d+\.\d+)/.exec(version) ?? []
  return `${series}.${Math.max(0, ...faults.map(({ fixedIn }) => fixedIn[series] ?? 0))}`
}

/** Whether a release belongs to a series without support. */
export function isUnsupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = oldestSupported.split('.').map(Number)
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor)
}
