import { formatMs, formatNumber } from '../../units.js'
import type { Finding } from '../finding.js'
import { peerRoundTrip, timerAdvice } from '../peer-round-trip.js'
import type { ClusterReport, MemberReport, Quantile } from '../report.js'

/** What etcd's documentation asks of disks, for 99 of 100. */
const goodFsyncMs = 10
const goodCommitMs = 25
/** From here on elections are to be feared. */
const badDiskMs = 100
const enoughSamples = 100
/** Clocks have no part in raft, but certificates, tokens and logs go by them. */
const clockTrustMs = 2000
const manyLeaderChanges = 10
const changesPerHour = 1

/** Round trips against etcd's timers, disks, elections, clocks. */
export function timingFindings(report: ClusterReport): Finding[] {
  return [...timers(report), ...report.members.flatMap(disk), ...elections(report), ...report.members.flatMap(clock)]
}

function timers(report: ClusterReport): Finding[] {
  const roundTrip = peerRoundTrip(report)
  if (roundTrip === undefined) return []
  const { heartbeatMs, electionMs, defaultsSuit } = timerAdvice(roundTrip.ms)
  // A bound says that it may be so, not that it is.
  if (defaultsSuit || roundTrip.kind === 'bounded') return []
  return [
    {
      id: 'timers',
      severity: 'warning',
      members: [],
      title: `The round trip between members is ${formatMs(roundTrip.ms)}: etcd’s own timers (100 ms, 1000 ms) are too short for that`,
      advice: [
        `--heartbeat-interval from ${heartbeatMs[0]} to ${heartbeatMs[1]} (0.5 to 1.5 round trips), --election-timeout ${electionMs} or more (10 round trips).`,
        'The same on every member; ignore this if they are set so already, which cannot be seen from here.',
      ],
    },
  ]
}

function disk({ name, metrics }: MemberReport): Finding[] {
  const found = (what: string, quantile: Quantile | undefined, goodMs: number): Finding[] => {
    if (quantile === undefined || quantile.samples < enoughSamples || quantile.ms <= goodMs) return []
    return [
      {
        id: 'slow-disk',
        severity: quantile.ms > badDiskMs ? 'warning' : 'advice',
        members: [name],
        title: `The disk of ${name} is slow: 1 of 100 ${what} takes more than ${formatMs(quantile.ms)}; it should be ${goodMs} ms`,
        advice: [
          'Give etcd a disk of its own, an SSD; write-ahead log and snapshots on different devices gain about 20 %.',
          'Raise its priority: ionice -c2 -n0 -p PID.',
        ],
      },
    ]
  }
  return [
    ...found('syncs of the log', metrics?.walFsync, goodFsyncMs),
    ...found('commits of the database', metrics?.backendCommit, goodCommitMs),
  ]
}

function elections({ members }: ClusterReport): Finding[] {
  const unsteady = members.flatMap(({ name, metrics }) => {
    const { leaderChanges = 0, uptimeSeconds = 0 } = metrics ?? {}
    const hours = Math.max(uptimeSeconds / 3600, 1e-9)
    return leaderChanges >= manyLeaderChanges && leaderChanges / hours > changesPerHour
      ? [{ name, leaderChanges, hours }]
      : []
  })
  const [first] = unsteady.toSorted((a, b) => b.leaderChanges - a.leaderChanges)
  if (first === undefined) return []
  return [
    {
      id: 'elections',
      severity: 'warning',
      members: unsteady.map(({ name }) => name),
      title: `${first.name} has seen ${first.leaderChanges} changes of the leader in ${formatMs(first.hours * 3_600_000)} (${formatNumber(first.leaderChanges / first.hours, 1)} an hour)`,
      advice: [
        'Look at the disks, the load and the network of the members: a leader that is late with its heartbeats is replaced.',
        'If round trips are long, raise --election-timeout on every member.',
      ],
    },
  ]
}

function clock({ name, clock }: MemberReport): Finding[] {
  if (clock === undefined || Math.abs(clock.aheadMs) - clock.uncertaintyMs <= clockTrustMs) return []
  const direction = clock.aheadMs > 0 ? 'ahead of' : 'behind'
  return [
    {
      id: 'clock',
      severity: 'warning',
      members: [name],
      title: `The clock of ${name} is ${formatMs(Math.abs(clock.aheadMs))} ${direction} the one here`,
      advice: [
        'Synchronise the clocks (NTP): certificates and JSON Web Tokens are valid by them, and logs are compared.',
      ],
    },
  ]
}
