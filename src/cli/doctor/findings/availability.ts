import { formatMs } from '../../units.js'
import type { Finding } from '../finding.js'
import { answering, type ClusterReport, type MemberReport } from '../report.js'

/** Silent members, a missing leader, and how many failures the cluster survives. */
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
      title: `The cluster answers neither linearizable reads nor writes: ${quorum.reason}`,
      advice: [
        'Start the stopped members: a majority of the voting members must run and reach each other.',
        'If a majority is lost permanently, restore a snapshot: etcdutl snapshot restore.',
      ],
    },
  ]
}

function silentMembers(report: ClusterReport): Finding[] {
  const silent = report.members.filter(({ answer }) => answer.kind === 'silent')
  const votersDown = silent.filter(({ isLearner }) => !isLearner).length
  const voters = report.members.filter(({ isLearner }) => !isLearner).length
  const spare = Math.floor((voters - 1) / 2) - votersDown
  const left = spare > 0 ? `${spare} more may fail` : 'no other may fail'
  return silent.map((member) => ({
    id: 'member-silent',
    severity: spare > 0 || member.isLearner ? 'warning' : 'critical',
    members: [member.name],
    title: `${member.name} does not answer at ${member.endpoint}: ${reasonOf(member)} (${votersDown} of ${voters} voting members are silent, ${left})`,
    advice: [
      'Start it, or check its log.',
      'If it runs, clients use this address (--advertise-client-urls), so it must be reachable from here.',
      'If it is lost permanently, remove it and add a new member.',
    ],
  }))
}

function reasonOf({ answer }: MemberReport): string {
  return answer.kind === 'silent' ? answer.reason : ''
}

/** Endpoints without an answer that do not belong to a silent member. */
function silentEndpoints(report: ClusterReport): Finding[] {
  const silent = new Set(report.members.flatMap(({ endpoint, answer }) => (answer.kind === 'silent' ? [endpoint] : [])))
  return report.endpoints
    .filter(({ endpoint, reason }) => reason !== undefined && !silent.has(endpoint))
    .map(({ endpoint, reason }) => ({
      id: 'endpoint-silent',
      severity: 'warning',
      members: [],
      title: `The endpoint ${endpoint} does not answer: ${reason}`,
      advice: ['Remove it from the clients’ endpoints, or start the member.'],
    }))
}

function leaders(report: ClusterReport): Finding[] {
  const voters = answering(report).filter(({ isLearner }) => !isLearner)
  const leaderless = voters.filter(({ answer }) => answer.leader === undefined)
  const known = new Set(voters.flatMap(({ answer }) => answer.leader ?? []))
  const findings: Finding[] = []
  // Without a majority, another finding reports it.
  if (leaderless.length > 0 && report.quorum.ok) {
    findings.push({
      id: 'member-without-leader',
      severity: 'critical',
      members: namesOf(leaderless),
      title: `${namesOf(leaderless).join(', ')} cannot reach the leader, although other members have one`,
      advice: ['Check the network between the members (port 2380), and its log.'],
    })
  }
  if (known.size > 1) {
    findings.push({
      id: 'leaders-differ',
      severity: 'warning',
      members: namesOf(voters),
      title: `The members name ${known.size} different leaders: an election is in progress, or the network is partitioned`,
      advice: ['Check again in a few seconds; if it persists, check the network between the members (port 2380).'],
    })
  }
  return findings
}

function redundancy({ members }: ClusterReport): Finding[] {
  const voters = members.filter(({ isLearner }) => !isLearner).length
  if (voters === 1) {
    return [
      note('single-member', 'The cluster has one voting member: if it fails, the cluster is down', [
        'Use three or five members in production.',
      ]),
    ]
  }
  if (voters % 2 === 1) return []
  const survives = Math.floor((voters - 1) / 2)
  return [
    note('even-members', `${voters} voting members survive ${survives} failures, as many as ${voters - 1} would`, [
      `Use ${voters - 1} or ${voters + 1}: each additional member makes writes slower.`,
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
        ...note('learner', `${member.name} is a learner${state}: it does not vote and serves only serializable reads`, [
          'Promote it once it has caught up (etcdctl member promote), unless it is meant for serializable reads.',
        ]),
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

/** The lag of members, and the time to reach agreement. */
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
        title: `${name} has ${gap} entries to apply; above ${refusedGap}, writes are rejected with “too many requests”`,
        advice: [
          'Reduce the write rate, and look for expensive requests: large ranges, large transactions, many watchers.',
          'Check its disk: the p99 of etcd_disk_backend_commit_duration_seconds should be below 25 ms.',
        ],
      }
    }),
    ...behind.map(
      ({ name, answer }): Finding => ({
        id: 'raft-lag',
        severity: 'warning',
        members: [name],
        title: `${name} is ${newest - answer.raftIndex} entries behind: serializable reads there are stale`,
        advice: ['Check its disk and the network between the members (port 2380).'],
      }),
    ),
    ...slowAgreement(report),
  ]
}

/** Unapplied entries that are normal for a busy member. */
const applyGap = 1000
/** etcd rejects proposals when the applied index is this far behind the committed one. */
const refusedGap = 5000
/** Members are probed at slightly different times, between which a busy cluster writes some thousand entries. */
const raftGap = 5000

/** A linearizable read takes a round trip between members, which is shorter in any healthy cluster. */
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
        'Check the round trips between the members, and their load.',
        'Where stale reads are acceptable, use serializable reads at the nearest member or a learner.',
      ],
    },
  ]
}
