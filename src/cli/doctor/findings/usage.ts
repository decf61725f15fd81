import { formatBytes, formatNumber, formatShare } from '../../units.js'
import type { Finding } from '../finding.js'
import type { ClusterReport } from '../report.js'

/** Listing more keys than this slows other calls down. */
const manyKeys = 100_000
/** etcd is designed for values of a few kilobytes: reads of 1 MB values are more than a hundred times slower. */
const largeBytes = 100 * 1024
/** etcd's default request limit. */
const requestLimitBytes = 1.5 * 2 ** 20
const nearLimitShare = 0.8
const manyLeases = 500
/** A lease with at least this many keys counts as shared. */
const sharedLease = 2

/** Expensive usage by clients. */
export function usageFindings(report: ClusterReport): Finding[] {
  return [...largePrefixes(report), ...largeKeys(report), ...leases(report), ...keylessLeases(report)]
}

function largePrefixes({ keys }: ClusterReport): Finding[] {
  const large = keys?.prefixes.filter((prefix) => prefix.keys >= manyKeys) ?? []
  return large.map(({ prefix, keys, bytes }) => ({
    id: 'large-prefix',
    severity: 'advice',
    members: [],
    title: `${prefix} holds ${formatNumber(keys)} keys with ${formatBytes(bytes)}: listing it is expensive for the members`,
    advice: [
      'Use an informer, which lists once and then watches.',
      'If it must be listed, use list() with serializable reads, or split it into several prefixes.',
    ],
  }))
}

function largeKeys({ keys }: ClusterReport): Finding[] {
  const large = keys?.largest.filter(({ bytes }) => bytes >= largeBytes) ?? []
  const [largest] = large
  if (largest === undefined) return []
  const share = largest.bytes / requestLimitBytes
  const isNear = share >= nearLimitShare
  return [
    {
      id: isNear ? 'near-size-limit' : 'large-values',
      severity: isNear ? 'warning' : 'advice',
      members: [],
      title: `${large.length === 1 ? 'A key holds' : `${large.length} keys or more hold`} over ${formatBytes(largeBytes)}; ${largest.key} has ${formatBytes(largest.bytes)}, ${formatShare(share)} of the request limit`,
      advice: [
        'Store large values elsewhere and their address in etcd, or split them: etcd is designed for values of a few kilobytes.',
        ...(isNear
          ? [`A write of more than ${formatBytes(requestLimitBytes)} is rejected (--max-request-bytes).`]
          : []),
      ],
    },
  ]
}

function leases({ leases: found }: ClusterReport): Finding[] {
  if (found === undefined || found.total < manyLeases || found.sampled === 0) return []
  const perLease = found.keysOfSampled / found.sampled
  if (perLease >= sharedLease) return []
  const { commonTtlSeconds: ttl, withCommonTtl, sampled } = found
  const common = ttl === undefined ? '' : `; ${formatShare(withCommonTtl / sampled)} of them have a TTL of ${ttl} s`
  return [
    {
      id: 'lease-reuse',
      severity: 'advice',
      members: [],
      title: `${formatNumber(found.total)} leases have ${formatNumber(perLease, 1)} keys each${common}`,
      advice: [
        'Attach keys with the same TTL to one lease: put() with ttlSeconds does so, and sessions share their lease.',
        'Each lease is granted, renewed and revoked separately.',
      ],
    },
  ]
}

function keylessLeases({ leases: found }: ClusterReport): Finding[] {
  if (found === undefined || found.total < manyLeases || found.sampled === 0) return []
  const share = found.withoutKeys / found.sampled
  if (share < 0.5) return []
  return [
    {
      id: 'leases-without-keys',
      severity: 'advice',
      members: [],
      title: `${formatShare(share)} of ${formatNumber(found.total)} leases have no key`,
      advice: ['A client grants leases that it does not use or revoke: they are renewed, or remain until they expire.'],
    },
  ]
}
