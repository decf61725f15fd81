import type { Etcd, LeaseStatus } from '../../index.js'
import type { LeasesReport } from './report.js'

/** Leases that are asked about. */
const sampleLeases = 100
/** Each lease costs a call; this is the number of concurrent calls. */
const atATime = 10

/** Counts the leases, and asks some of them for their keys. */
export async function lookAtLeases(etcd: Etcd, signal: AbortSignal): Promise<LeasesReport> {
  const ids = await etcd.lease.list({ signal })
  // Spread over all: their numbers are random, or grow with time.
  const step = Math.max(1, ids.length / sampleLeases)
  const picked = Array.from({ length: Math.min(sampleLeases, ids.length) }, (_, at) => ids[Math.floor(at * step)] ?? '')
  const statuses: LeaseStatus[] = []
  for (let from = 0; from < picked.length; from += atATime) {
    const some = picked.slice(from, from + atATime)
    const found = await Promise.all(some.map((id) => etcd.lease.timeToLive(id, { keys: true, signal })))
    statuses.push(...found.filter((status) => status !== undefined))
  }
  const ttls = new Map<number, number>()
  for (const { ttlSeconds } of statuses) ttls.set(ttlSeconds, (ttls.get(ttlSeconds) ?? 0) + 1)
  const [common] = [...ttls].sort(([, a], [, b]) => b - a)
  return {
    total: ids.length,
    sampled: statuses.length,
    keysOfSampled: statuses.reduce((sum, { keys }) => sum + (keys?.length ?? 0), 0),
    withoutKeys: statuses.filter(({ keys }) => keys?.length === 0).length,
    commonTtlSeconds: common?.[0],
    withCommonTtl: common?.[1] ?? 0,
  }
}
