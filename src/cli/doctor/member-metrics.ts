import { bucketsOf, histogramQuantile, parseMetrics, type Sample } from './prometheus.js'
import type { MemberMetrics, Quantile } from './report.js'

/** The facts in a member's metrics, if they are etcd's. */
export function memberMetrics(text: string, now: Date): MemberMetrics | undefined {
  const metrics = parseMetrics(text, ['etcd_', 'process_'])
  const samples = (name: string): readonly Sample[] => metrics.get(name) ?? []
  const value = (name: string): number | undefined => samples(name)[0]?.value
  if (value('etcd_server_has_leader') === undefined) return undefined
  const startedAt = value('process_start_time_seconds')
  return {
    uptimeSeconds: startedAt === undefined ? undefined : now.getTime() / 1000 - startedAt,
    leaderChanges: value('etcd_server_leader_changes_seen_total'),
    walFsync: quantile(samples('etcd_disk_wal_fsync_duration_seconds_bucket'), 0.99),
    backendCommit: quantile(samples('etcd_disk_backend_commit_duration_seconds_bucket'), 0.99),
    peers: peersOf(samples('etcd_network_peer_round_trip_time_seconds_bucket')),
    watchers: value('etcd_debugging_mvcc_watcher_total'),
    quotaBytes: value('etcd_server_quota_backend_bytes'),
    currentRevision: value('etcd_debugging_mvcc_current_revision'),
    compactRevision: value('etcd_debugging_mvcc_compact_revision'),
  }
}

/** The greatest of the usual round trips: single ones of a busy moment say nothing about the way. */
const usualShare = 0.9

function peersOf(samples: readonly Sample[]): MemberMetrics['peers'] {
  const ids = new Set(samples.flatMap(({ labels }) => labels.To ?? []))
  return [...ids].flatMap((id) => {
    const own = samples.filter(({ labels }) => labels.To === id)
    const roundTrip = quantile(own, usualShare)
    return roundTrip === undefined ? [] : [{ id, roundTrip }]
  })
}

function quantile(samples: readonly Sample[], share: number): Quantile | undefined {
  const buckets = bucketsOf(samples)
  const seconds = histogramQuantile(buckets, share)
  return seconds === undefined ? undefined : { ms: seconds * 1000, samples: buckets.at(-1)?.count ?? 0 }
}
