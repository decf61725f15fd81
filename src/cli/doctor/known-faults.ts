/** A fault of older etcd releases that their users can meet. */
export interface KnownFault {
  readonly kind: 'watch' | 'lease' | 'reads' | 'security' | 'membership'
  readonly text: string
  /** The first release of each series, such as `3.5`, without it. Other series have it not, or are not known to. */
  readonly fixedIn: Readonly<Record<string, number>>
  /** Only clusters with authentication have it. */
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
    text: 'a watch from a future revision can be given older events',
    fixedIn: { '3.4': 38, '3.5': 22, '3.6': 2 },
  },
  { kind: 'lease', text: 'the renewal of a revoked lease can be answered with success', fixedIn: { '3.6': 5 } },
  {
    kind: 'reads',
    text: 'a linearizable read can be stale after a change of the leader or a paused process',
    fixedIn: { '3.4': 42, '3.5': 28, '3.6': 9 },
  },
  {
    kind: 'security',
    text: 'users may call lease, member and alarm methods that they may not (CVE-2026-33413), and get around roles with nested transactions (CVE-2026-33343)',
    fixedIn: { '3.4': 42, '3.5': 28, '3.6': 9 },
    needsAuth: true,
  },
  {
    kind: 'security',
    text: 'a watch from a key on shows keys that the user may not read (GHSA-xg4h-6gfc-h4m8)',
    fixedIn: { '3.6': 14, '3.7': 1 },
    needsAuth: true,
  },
  {
    kind: 'membership',
    text: 'a change of a learner’s peer address can promote it',
    fixedIn: { '3.5': 32, '3.6': 12 },
  },
]

/** The oldest series that still gets releases. */
export const oldestSupported = '3.5'

/** The faults that a release is known to have. */
export function faultsOf(version: string, authEnabled: boolean): readonly KnownFault[] {
  const [, series = '', patch = ''] = /^(\d+\.\d+)\.(\d+)/.exec(version) ?? []
  return knownFaults.filter(({ fixedIn, needsAuth }) => {
    const fixed = fixedIn[series]
    return fixed !== undefined && Number(patch) < fixed && (authEnabled || needsAuth !== true)
  })
}

/** The first release of a version's series without any of these faults. */
export function releaseWithout(version: string, faults: readonly KnownFault[]): string {
  const [, series = ''] = /^(\d+\.\d+)/.exec(version) ?? []
  return `${series}.${Math.max(0, ...faults.map(({ fixedIn }) => fixedIn[series] ?? 0))}`
}

/** Whether a release belongs to a series that gets no more fixes. */
export function isUnsupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = oldestSupported.split('.').map(Number)
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor)
}
