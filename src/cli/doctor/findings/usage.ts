import { formatBytes, formatNumber, formatShare } from '../../units.js'
import type { Finding } from '../finding.js'
import type { ClusterReport } from '../report.js'

/** A listing of more keys than these takes a member's time and memory that others wait for. */
const manyKeys = 100_000
/** etcd is for values of a few kilobytes: reads of 1 MB values are more than a hundred times slower. */
const largeBytes = 100 * 1024
/** etcd's own limit of a request. */
const requestLimitBytes = 1.5 * 2 ** 20
const nearLimitShare = 0.8
const manyLeases = 500
/** From so many keys on, a lease is shared. */
const sharedLease = 2

/** What clients do that is expensive. */
export function usageFindings(report: ClusterReport): Finding[] {
  return [...largePrefixes(report), ...largeKeys(report), ...leases(report), ...keylessLeases(report)]
}

function largePrefixes({ keys }: ClusterReport): Finding[] {
  const large = keys?.prefixes.filter((prefix) => prefix.keys >= manyKeys) ?? []
  return large.map(({ prefix, keys, bytes }) => ({
    id: 'large-prefix',
    severity: 'advice',
    members: [],
    title: `${prefix} holds ${formatNumber(keys)} keys with ${formatBytes(bytes)}: listing it is expensive for every member that is asked`,
    advice: [
      'List it once and watch it from there on: an informer does that.',
      'Where it has to be listed, page through it with list(), serializable, or split it into several prefixes.',
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
      title: `${large.length === 1 ? 'A key holds' : `${large.length} keys or more hold`} over ${formatBytes(largeBytes)}; ${largest.key} has ${formatBytes(largest.bytes)}, ${formatShare(share)} of what a request may have`,
      advice: [
        'Keep large values elsewhere and their address in etcd, or split them: etcd is for values of a few kilobytes.',
        ...(isNear ? [`A write of more than ${formatBytes(requestLimitBytes)} is refused (--max-request-bytes).`] : []),
      ],
    },
  ]
}

function leases({ leases: found }: ClusterReport): Finding[] {
  if (found === undefined || found.total < manyLeases || found.sampled === 0) return []
  const perLease = found.keysOfSampled / found.sampled
  if (perLease >= sharedLease) return []
  const { commonTtlSeconds: ttl, withCommonTtl, sampled } = found
  const common = ttl === undefined ? '' : `; ${formatShare(withCommonTtl / sampled)} of them live for ${ttl} s`
  return [
    {
      id: 'lease-reuse',
      severity: 'advice',
      members: [],
      title: `${formatNumber(found.total)} leases have ${formatNumber(perLease, 1)} keys each${common}`,
      advice: [
        'Attach keys of the same time to live to one lease: put() with ttlSeconds does that, and sessions share theirs.',
        'Each lease is granted, renewed and ended by raft or by the leader on its own.',
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
      advice: [
        'Somebody grants leases that it does not use, or does not revoke: they are renewed or wait for their end.',
      ],
    },
  ]
}
