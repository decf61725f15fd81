import { formatBytes, formatMs, formatNumber } from '../units.js'
import { peerRoundTrip, timerAdvice } from './peer-round-trip.js'
import type { ClusterReport } from './report.js'

/** What is worth to know of a cluster as a whole, whether good or bad: name and text. */
export function clusterFacts(report: ClusterReport): (readonly [name: string, text: string])[] {
  const { quorum, authEnabled, clusterId } = report
  return [
    ['cluster', clusterId ?? 'unknown'],
    [
      'linearizable read',
      quorum.ok ? `${formatMs(quorum.linearizableP50Ms)} (half of them)` : `no answer: ${quorum.reason}`,
    ],
    ['authentication', authEnabled === undefined ? 'unknown' : authEnabled ? 'on' : 'off'],
    ['timers', timersText(report)],
    ['keys', keysText(report)],
    ['leases', leasesText(report)],
  ]
}

function timersText(report: ClusterReport): string {
  const roundTrip = peerRoundTrip(report)
  if (roundTrip === undefined) return 'one member: etcd’s own are fine'
  const { heartbeatMs, electionMs, defaultsSuit } = timerAdvice(roundTrip.ms)
  const way = `${roundTrip.kind === 'bounded' ? 'at most ' : ''}${formatMs(roundTrip.ms)} between members`
  if (defaultsSuit) return `${way}: etcd’s own are fine (heartbeat 100 ms, election 1000 ms)`
  return `${way}: heartbeat ${heartbeatMs[0]} to ${heartbeatMs[1]} ms, election ${electionMs} ms or more`
}

function keysText({ keys }: ClusterReport): string {
  if (keys === undefined) return 'not looked at'
  const how = keys.isExact ? 'all read' : `${formatNumber(keys.sampled)} read, bytes estimated`
  return `${formatNumber(keys.total)} (${how})`
}

function leasesText({ leases }: ClusterReport): string {
  if (leases === undefined) return 'not looked at'
  if (leases.sampled === 0) return formatNumber(leases.total)
  return `${formatNumber(leases.total)}, with ${formatNumber(leases.keysOfSampled / leases.sampled, 1)} keys each`
}

/** The rows of the table of prefixes: name, keys, bytes. */
export function prefixRows({ keys }: ClusterReport): string[][] {
  const isExact = keys?.isExact ?? true
  return (keys?.prefixes ?? []).map(({ prefix, keys, bytes }) => {
    return [prefix, formatNumber(keys), `${isExact ? '' : '~'}${formatBytes(bytes)}`]
  })
}
