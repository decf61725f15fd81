import type { Column } from '../table.js'
import { formatBytes, formatMs, formatNumber, formatShare } from '../units.js'
import { type ClusterReport, type MemberReport, quotaOf } from './report.js'

/** The columns of the table of members. */
export const memberColumns: readonly Column[] = [
  { title: 'MEMBER' },
  { title: 'ENDPOINT' },
  { title: 'ROLE' },
  { title: 'VERSION' },
  { title: 'RTT P50', align: 'right' },
  { title: 'P99', align: 'right' },
  { title: 'RAFT', align: 'right' },
  { title: 'APPLIED', align: 'right' },
  { title: 'GAP', align: 'right' },
  { title: 'DB', align: 'right' },
  { title: 'OF QUOTA', align: 'right' },
  { title: 'FREE', align: 'right' },
  { title: 'ALARMS' },
  { title: 'TLS' },
  { title: 'CLOCK', align: 'right' },
]

const unknown = '?'

/** The cells of one member. */
export function memberRow(member: MemberReport, report: ClusterReport): string[] {
  const { name, endpoint, answer, roundTrip } = member
  const alarms = report.alarms.filter((alarm) => alarm.member === name).map(({ type }) => type)
  const times = roundTrip === undefined ? [unknown, unknown] : [formatMs(roundTrip.p50Ms), formatMs(roundTrip.p99Ms)]
  const tail = [alarms.join(' ') || '-', tlsText(member, report.at), clockText(member)]
  if (answer.kind === 'silent')
    return [name, endpoint, roleOf(member), unknown, ...times, '', '', '', '', '', '', ...tail]
  const { raftIndex, appliedIndex, dbBytes, dbInUseBytes } = answer
  const quota = quotaOf(member)
  return [
    name,
    endpoint,
    roleOf(member),
    answer.version,
    ...times,
    String(raftIndex),
    String(appliedIndex),
    String(raftIndex - appliedIndex),
    formatBytes(dbBytes),
    `${formatShare(dbBytes / quota.bytes)} of ${formatBytes(quota.bytes)}${quota.isKnown ? '' : unknown}`,
    formatShare(dbBytes === 0 ? 0 : (dbBytes - dbInUseBytes) / dbBytes),
    ...tail,
  ]
}

/** The current role of a member. */
export function roleOf({ answer, isLearner }: MemberReport): string {
  if (answer.kind === 'silent') return 'silent'
  if (isLearner) return 'learner'
  if (answer.isLeader) return 'leader'
  return answer.leader === undefined ? 'no leader' : 'follower'
}

function tlsText({ tls, endpoint, answer }: MemberReport, now: Date): string {
  if (answer.kind === 'silent') return unknown
  if (tls === undefined) return /^(https|unixs):/.test(endpoint) ? unknown : 'none'
  return `${formatNumber((tls.expiresAt.getTime() - now.getTime()) / 86_400_000)} d left`
}

/** A member's date has a resolution of one second. */
function clockText({ clock }: MemberReport): string {
  if (clock === undefined) return unknown
  if (Math.abs(clock.aheadMs) <= clock.uncertaintyMs) return `±${formatMs(clock.uncertaintyMs)}`
  return `${clock.aheadMs > 0 ? '+' : '-'}${formatMs(Math.abs(clock.aheadMs))}`
}
