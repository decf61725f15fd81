import { formatBytes, formatShare } from '../../units.js'
import type { Finding } from '../finding.js'
import { answering, type ClusterReport, type MemberAnswer, type MemberReport, quotaOf } from '../report.js'

type Answering = MemberReport & { readonly answer: MemberAnswer }

/** The share of the quota from which on a database is too full. */
const fullShare = 0.8
const criticalShare = 0.95
/** Free pages in a database that are worth the pause of a defragmentation: a good part, and not a few megabytes. */
const fragmentedShare = 0.45
const fragmentedBytes = 100 * 2 ** 20
/** What etcd's documentation advises as the most. */
const largestQuotaBytes = 8 * 2 ** 30
/** Revisions that are kept; each change of a key is one. */
const manyRevisions = 1_000_000

/** Alarms, quota, fragmentation and history. */
export function spaceFindings(report: ClusterReport): Finding[] {
  const members = answering(report)
  return [
    ...alarms(report),
    ...members.flatMap((member) => fullDatabase(member, report)),
    ...fragmentation(members),
    ...history(report),
  ]
}

function alarms(report: ClusterReport): Finding[] {
  const raised = (type: string): readonly string[] =>
    report.alarms.filter((alarm) => alarm.type === type).map(({ member }) => member)
  const [full, corrupt] = [raised('NOSPACE'), raised('CORRUPT')]
  const findings: Finding[] = []
  if (full.length > 0) findings.push(noSpace(report, full))
  if (corrupt.length > 0) {
    findings.push({
      id: 'corrupt',
      severity: 'critical',
      members: corrupt,
      title: `The alarm CORRUPT is raised for ${corrupt.join(', ')}: its data differs from the others’, and nothing is served`,
      advice: [
        'Compare the members: etcdctl endpoint hashkv --cluster.',
        'Remove the member that differs, delete its data, add it again; then etcdkit alarm disarm.',
      ],
    })
  }
  return findings
}

function noSpace(report: ClusterReport, names: readonly string[]): Finding {
  const member = answering(report).find(({ name }) => names.includes(name))
  const size = member === undefined ? '' : `: ${formatBytes(member.answer.dbBytes)} of ${quotaText(member)}`
  return {
    id: 'no-space',
    severity: 'critical',
    members: names,
    title: `The alarm NOSPACE is raised for ${names.join(', ')}${size}; every write is refused`,
    advice: [
      'Delete what is not needed, then compact the history: etcdctl compact REVISION.',
      'Give the space back: etcdctl defrag, one member after the other, the leader last.',
      'End the alarm: etcdkit alarm disarm.',
      ...largerQuota(member),
    ],
  }
}

function fullDatabase(member: Answering, report: ClusterReport): Finding[] {
  const { name, answer } = member
  const quota = quotaOf(member)
  const share = answer.dbBytes / quota.bytes
  const isAlarmed = report.alarms.some((alarm) => alarm.type === 'NOSPACE' && alarm.member === name)
  if (share < fullShare || isAlarmed) return []
  const free = answer.dbBytes - answer.dbInUseBytes
  return [
    {
      id: 'quota',
      severity: share >= criticalShare ? 'critical' : 'warning',
      members: [name],
      title: `The database of ${name} has ${formatBytes(answer.dbBytes)} of ${quotaText(member)} (${formatShare(share)}); when it is full, every write is refused`,
      advice: [
        `A defragmentation gives ${formatBytes(free)} back: etcdctl defrag, one member after the other.`,
        'Compact the history regularly: --auto-compaction-retention.',
        ...largerQuota(member),
      ],
    },
  ]
}

function fragmentation(members: readonly Answering[]): Finding[] {
  const fragmented = members.filter(({ answer: { dbBytes, dbInUseBytes } }) => {
    return dbBytes >= fragmentedBytes && (dbBytes - dbInUseBytes) / dbBytes >= fragmentedShare
  })
  return fragmented.map(({ name, answer: { dbBytes, dbInUseBytes } }) => ({
    id: 'fragmented',
    severity: 'warning',
    members: [name],
    title: `${formatShare((dbBytes - dbInUseBytes) / dbBytes)} of the database of ${name} are free pages: ${formatBytes(dbInUseBytes)} of ${formatBytes(dbBytes)} are in use`,
    advice: [
      `A defragmentation gives ${formatBytes(dbBytes - dbInUseBytes)} back: etcdctl defrag --endpoints of this member.`,
      'The member does not answer meanwhile: one after the other, the leader last.',
    ],
  }))
}

function history({ members }: ClusterReport): Finding[] {
  const kept = Math.max(
    0,
    ...members.map(({ metrics }) => {
      const { currentRevision, compactRevision } = metrics ?? {}
      return currentRevision === undefined || compactRevision === undefined
        ? 0
        : currentRevision - Math.max(0, compactRevision)
    }),
  )
  if (kept < manyRevisions) return []
  return [
    {
      id: 'history',
      severity: 'advice',
      members: [],
      title: `The history of ${kept.toLocaleString('en-US')} revisions is kept`,
      advice: [
        'Compact it regularly, for example with --auto-compaction-mode periodic --auto-compaction-retention 1h.',
      ],
    },
  ]
}

function quotaText(member: MemberReport): string {
  const { bytes, isKnown } = quotaOf(member)
  return isKnown ? `its quota of ${formatBytes(bytes)}` : `${formatBytes(bytes)}, etcd’s default quota`
}

function largerQuota(member: MemberReport | undefined): string[] {
  const bytes = member === undefined ? largestQuotaBytes : quotaOf(member).bytes
  if (bytes >= largestQuotaBytes)
    return [`The quota is at the advised most of ${formatBytes(largestQuotaBytes)}: keep less in etcd.`]
  const twice = Math.min(largestQuotaBytes, Math.max(bytes * 2, 2 * 2 ** 30))
  return [`If the data is needed, allow more: --quota-backend-bytes=${twice} (${formatBytes(twice)}) on every member.`]
}
