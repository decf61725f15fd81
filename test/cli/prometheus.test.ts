import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memberMetrics } from '../../src/cli/doctor/member-metrics.js'
import { bucketsOf, histogramQuantile, parseMetrics } from '../../src/cli/doctor/prometheus.js'

const text = `# HELP etcd_server_has_leader Whether or not a leader exists.
# TYPE etcd_server_has_leader gauge
etcd_server_has_leader 1
etcd_server_quota_backend_bytes 2.147483648e+09
process_start_time_seconds 1000
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 50
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"} 90
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.004"} 100
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 100
etcd_network_peer_round_trip_time_seconds_bucket{To="aa",le="0.1"} 10
etcd_network_peer_round_trip_time_seconds_bucket{To="aa",le="+Inf"} 10
etcd_network_peer_round_trip_time_seconds_bucket{To="bb",le="0.1"} 0
etcd_network_peer_round_trip_time_seconds_bucket{To="bb",le="+Inf"} 0
go_goroutines{a="x\\"y"} 5
`

test('The metrics reader returns the requested metrics with their labels', () => {
  const metrics = parseMetrics(text, ['go_', 'etcd_server'])
  assert.deepEqual([...metrics.keys()], ['etcd_server_has_leader', 'etcd_server_quota_backend_bytes', 'go_goroutines'])
  assert.deepEqual(metrics.get('go_goroutines'), [{ labels: { a: 'x\\"y' }, value: 5 }])
})

test('A quantile lies in its bucket, in proportion to the samples before it', () => {
  const buckets = bucketsOf(parseMetrics(text, ['etcd_disk']).get('etcd_disk_wal_fsync_duration_seconds_bucket') ?? [])
  assert.equal(histogramQuantile(buckets, 0.5), 0.001)
  assert.equal(histogramQuantile(buckets, 0.7), 0.0015)
  assert.ok(Math.abs((histogramQuantile(buckets, 0.99) ?? 0) - 0.0038) < 1e-9)
  assert.equal(
    histogramQuantile(
      [
        { upTo: 1, count: 1 },
        { upTo: Number.POSITIVE_INFINITY, count: 100 },
      ],
      0.9,
    ),
    1,
  )
  assert.equal(histogramQuantile([], 0.5), undefined)
})

test("A member's metrics become a report, and those of another program do not", () => {
  const metrics = memberMetrics(text, new Date(4_600_000))
  assert.deepEqual([metrics?.uptimeSeconds, metrics?.quotaBytes, metrics?.leaderChanges], [3600, 2 ** 31, undefined])
  assert.deepEqual(metrics?.peers, [{ id: 'aa', roundTrip: { ms: 90.00000000000001, samples: 10 } }])
  assert.equal(memberMetrics('up 1\n', new Date()), undefined)
})
