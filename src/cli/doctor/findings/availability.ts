import { formatMs } from '../../units.js'
import type { Finding } from '../finding.js'
import { answering, type ClusterReport, type MemberReport } from '../report.js'

/** Members that do not answer, a cluster that has no leader, and how many failures it still survives. */
export function availabilityFindings(report: ClusterReport): Finding[] {
  return [
    ...noQuorum(report),
    ...silentMembers(report),
    ...silentEndpoints(report),
    ...leaders(report),
    ...redundancy(report),
    ...learners(report),
  ]
}

function noQuorum({ quorum }: ClusterReport): Finding[] {
  if (quorum.ok) return []
  return [
    {
      id: 'no-quorum',
      severity: 'critical',
      members: [],
      title: `The cluster does not answer linearizable reads, nor writes: ${quorum.reason}`,
      advice: [
        'Start the members that are down: a majority of the voting members has to run and reach each other.',
        'If a majority is lost for good, restore a snapshot: etcdutl snapshot restore.',
      ],
    },
  ]
}

function silentMembers(report: ClusterReport): Finding[] {
  const silent = report.members.filter(({ answer }) => answer.kind === 'silent')
  const votersDown = silent.filter(({ isLearner }) => !isLearner).length
  const voters = report.members.filter(({ isLearner }) => !isLearner).length
  const spare = Math.floor((voters - 1) / 2) - votersDown
  const left = spare > 0 ? `${spare} more may fail` : 'no further one may fail'
  return silent.map((member) => ({
    id: 'member-silent',
    severity: spare > 0 || member.isLearner ? 'warning' : 'critical',
    members: [member.name],
    title: `${member.name} does not answer at ${member.endpoint}: ${reasonOf(member)} (${votersDown} of ${voters} voting members are silent, ${left})`,
    advice: [
      'Start it, or look into its log.',
      'If it runs: clients are told to use that address (--advertise-client-urls), so it has to be reachable from here.',
      'If it is gone for good, remove it and add another in its place.',
    ],
  }))
}

function reasonOf({ answer }: MemberReport): string {
  return answer.kind === 'silent' ? answer.reason : ''
}

/** Endpoints at which nobody answers, where that is not for a member that is silent. */
function silentEndpoints(report: ClusterReport): Finding[] {
  const silent = new Set(report.members.flatMap(({ endpoint, answer }) => (answer.kind === 'silent' ? [endpoint] : [])))
  return report.endpoints
    .filter(({ endpoint, reason }) => reason !== undefined && !silent.has(endpoint))
    .map(({ endpoint, reason }) => ({
      id: 'endpoint-silent',
      severity: 'warning',
      members: [],
      title: `Nobody answers at the endpoint ${endpoint}: ${reason}`,
      advice: ['Take it out of the clients’ endpoints, or start what should be there.'],
    }))
}

function leaders(report: ClusterReport): Finding[] {
  const voters = answering(report).filter(({ isLearner }) => !isLearner)
  const leaderless = voters.filter(({ answer }) => answer.leader === undefined)
  const known = new Set(voters.flatMap(({ answer }) => answer.leader ?? []))
  const findings: Finding[] = []
  // Without a majority this is no news.
  if (leaderless.length > 0 && report.quorum.ok) {
    findings.push({
      id: 'member-without-leader',
      severity: 'critical',
      members: namesOf(leaderless),
      title: `${namesOf(leaderless).join(', ')} cannot reach the leader, although the others have one`,
      advice: ['Look at the network between the members (port 2380), and at its log.'],
    })
  }
  if (known.size > 1) {
    findings.push({
      id: 'leaders-differ',
      severity: 'warning',
      members: namesOf(voters),
      title: `The members name ${known.size} different leaders: an election is under way, or some are cut off`,
      advice: ['Look again in some seconds; if it stays, look at the network between the members (port 2380).'],
    })
  }
  return findings
}

function redundancy({ members }: ClusterReport): Finding[] {
  const voters = members.filter(({ isLearner }) => !isLearner).length
  if (voters === 1) {
    return [
      note('single-member', 'The cluster has one voting member: when it fails, nothing is served', [
        'For production use three members, or five.',
      ]),
    ]
  }
  if (voters % 2 === 1) return []
  const survives = Math.floor((voters - 1) / 2)
  return [
    note('even-members', `${voters} voting members survive ${survives} failures, as many as ${voters - 1} would`, [
      `Use ${voters - 1} or ${voters + 1}: each further member makes writes slower.`,
    ]),
  ]
}

function learners(report: ClusterReport): Finding[] {
  const leader = answering(report).find(({ answer }) => answer.isLeader)
  return report.members
    .filter(({ isLearner }) => isLearner)
    .map((member) => {
      const gap =
        leader && member.answer.kind === 'answered' ? leader.answer.raftIndex - member.answer.appliedIndex : undefined
      const state = gap === undefined ? '' : `, ${Math.max(0, gap)} entries behind the leader`
      return {
        ...note(
          'learner',
          `${member.name} is a learner${state}: it does not vote, and serves serializable reads only`,
          ['Promote it once it has caught up (etcdctl member promote), unless it is to serve reads that may be stale.'],
        ),
        members: [member.name],
      }
    })
}

function note(id: string, title: string, advice: readonly string[]): Finding {
  return { id, severity: 'advice', members: [], title, advice }
}

function namesOf(members: readonly MemberReport[]): string[] {
  return members.map(({ name }) => name)
}

/** How far members lag behind, and how long the cluster takes to agree. */
export function lagFindings(report: ClusterReport): Finding[] {
  const members = answering(report)
  const newest = Math.max(0, ...members.map(({ answer }) => answer.raftIndex))
  const slow = members.filter(({ answer }) => answer.raftIndex - answer.appliedIndex > applyGap)
  const behind = members.filter(({ answer, isLearner }) => !isLearner && newest - answer.raftIndex > raftGap)
  return [
    ...slow.map(({ name, answer }): Finding => {
      const gap = answer.raftIndex - answer.appliedIndex
      return {
        id: 'apply-lag',
        severity: gap > refusedGap ? 'critical' : 'warning',
        members: [name],
        title: `${name} has ${gap} entries to apply; over ${refusedGap}, writes are refused with “too many requests”`,
        advice: [
          'Write less at a time, and look for expensive requests: large ranges, large transactions, many watchers.',
          'Look at its disk: etcd_disk_backend_commit_duration_seconds should be under 25 ms for 99 of 100.',
        ],
      }
    }),
    ...behind.map(
      ({ name, answer }): Finding => ({
        id: 'raft-lag',
        severity: 'warning',
        members: [name],
        title: `${name} is ${newest - answer.raftIndex} entries behind: serializable reads there are stale`,
        advice: ['Look at its disk and at the network between the members (port 2380).'],
      }),
    ),
    ...slowAgreement(report),
  ]
}

/** Entries that a busy member has to apply without being slow. */
const applyGap = 1000
/** etcd refuses proposals when the applied index is so far behind the committed one. */
const refusedGap = 5000
/** Members are asked at slightly different moments, in which a busy cluster writes some thousand entries. */
const raftGap = 5000

/** A linearizable read takes a round trip between members; this is more than any sound cluster takes for one. */
const slowReadMs = 500

function slowAgreement({ quorum }: ClusterReport): Finding[] {
  if (!quorum.ok || quorum.linearizableP50Ms <= slowReadMs) return []
  return [
    {
      id: 'slow-reads',
      severity: 'warning',
      members: [],
      title: `A linearizable read takes ${formatMs(quorum.linearizableP50Ms)} from here`,
      advice: [
        'Look at the round trips between the members, and at their load.',
        'Where reads may be somewhat stale, make them serializable, at the nearest member or a learner.',
      ],
    },
  ]
}
