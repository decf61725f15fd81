import { formatMs, formatNumber } from '../../units.js'
import type { Finding } from '../finding.js'
import { peerRoundTrip, timerAdvice } from '../peer-round-trip.js'
import type { ClusterReport, MemberReport, Quantile } from '../report.js'

/** The p99 that etcd's documentation requires of disks. */
const goodFsyncMs = 10
const goodCommitMs = 25
/** Slower disks cause elections. */
const badDiskMs = 100
const enoughSamples = 100
/** Raft does not use clocks, but certificates, tokens and logs do. */
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
  // A bound does not prove that the round trip is long.
  if (defaultsSuit || roundTrip.kind === 'bounded') return []
  return [
    {
      id: 'timers',
      severity: 'warning',
      members: [],
      title: `The round trip between members is ${formatMs(roundTrip.ms)}: etcd’s default timers (100 ms, 1000 ms) are too short`,
      advice: [
        `--heartbeat-interval from ${heartbeatMs[0]} to ${heartbeatMs[1]} (0.5 to 1.5 round trips), --election-timeout ${electionMs} or more (10 round trips).`,
        'Set the same on every member; ignore this if they are set already, which a client cannot see.',
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
        title: `The disk of ${name} is slow: the p99 of ${what} is ${formatMs(quantile.ms)}; it should be below ${goodMs} ms`,
        advice: [
          'Use a dedicated SSD for etcd; separate devices for the write-ahead log and snapshots gain about 20 %.',
          'Raise its priority: ionice -c2 -n0 -p PID.',
        ],
      },
    ]
  }
  return [
    ...found('log syncs', metrics?.walFsync, goodFsyncMs),
    ...found('database commits', metrics?.backendCommit, goodCommitMs),
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
      title: `${first.name} has seen ${first.leaderChanges} leader changes in ${formatMs(first.hours * 3_600_000)} (${formatNumber(first.leaderChanges / first.hours, 1)} per hour)`,
      advice: [
        'Check the disks, the load and the network of the members: a leader with late heartbeats is replaced.',
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
      title: `The clock of ${name} is ${formatMs(Math.abs(clock.aheadMs))} ${direction} the local clock`,
      advice: ['Synchronize the clocks (NTP): certificates, JSON Web Tokens and logs depend on them.'],
    },
  ]
}
