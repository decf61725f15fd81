import { formatBytes, formatShare } from '../../units.js'
import type { Finding } from '../finding.js'
import { answering, type ClusterReport, type MemberAnswer, type MemberReport, quotaOf } from '../report.js'

type Answering = MemberReport & { readonly answer: MemberAnswer }

/** The share of the quota at which a database is too full. */
const fullShare = 0.8
const criticalShare = 0.95
/** Free pages that are worth the pause of a defragmentation: a large share, and not a few megabytes. */
const fragmentedShare = 0.45
const fragmentedBytes = 100 * 2 ** 20
/** The maximum that etcd's documentation recommends. */
const maxQuotaBytes = 8 * 2 ** 30
/** Retained revisions; each transaction is one. */
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
      title: `The alarm CORRUPT is raised for ${corrupt.join(', ')}: its data differs from other members’, and requests are rejected`,
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
    title: `The alarm NOSPACE is raised for ${names.join(', ')}${size}; every write is rejected`,
    advice: [
      'Delete unneeded keys, then compact the history: etcdctl compact REVISION.',
      'Free the space: etcdctl defrag, one member at a time, the leader last.',
      'Disarm the alarm: etcdkit alarm disarm.',
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
      title: `The database of ${name} uses ${formatBytes(answer.dbBytes)} of ${quotaText(member)} (${formatShare(share)}); when it is full, every write is rejected`,
      advice: [
        `A defragmentation frees ${formatBytes(free)}: etcdctl defrag, one member at a time.`,
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
      `A defragmentation frees ${formatBytes(dbBytes - dbInUseBytes)}: etcdctl defrag --endpoints of this member.`,
      'The member does not answer meanwhile: one member at a time, the leader last.',
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
      title: `${kept.toLocaleString('en-US')} revisions of history are retained`,
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
  const bytes = member === undefined ? maxQuotaBytes : quotaOf(member).bytes
  if (bytes >= maxQuotaBytes)
    return [`The quota has the recommended maximum of ${formatBytes(maxQuotaBytes)}: store less in etcd.`]
  const twice = Math.min(maxQuotaBytes, Math.max(bytes * 2, 2 * 2 ** 30))
  return [
    `If the data is needed, raise the quota: --quota-backend-bytes=${twice} (${formatBytes(twice)}) on every member.`,
  ]
}
