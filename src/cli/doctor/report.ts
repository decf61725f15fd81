/** What was seen of a cluster, as data. What could not be seen is `undefined`, and named in `unseen`. */
export interface ClusterReport {
  /** When it was seen. */
  readonly at: Date
  /** The endpoints that were given. */
  readonly endpoints: readonly EndpointReport[]
  readonly clusterId: string | undefined
  readonly members: readonly MemberReport[]
  /** Whether a linearizable read is answered: there is a leader, and a majority follows it. */
  readonly quorum: QuorumReport
  readonly alarms: readonly AlarmReport[]
  readonly authEnabled: boolean | undefined
  /** Whether the client itself has logged in with a password over a connection without TLS. */
  readonly passwordInClear: boolean
  readonly keys: KeysReport | undefined
  readonly leases: LeasesReport | undefined
  readonly unseen: readonly Unseen[]
}

/** An endpoint that was given. */
export interface EndpointReport {
  readonly endpoint: string
  /** The member that answers there. */
  readonly memberId: string | undefined
  /** Why nobody does. */
  readonly reason: string | undefined
}

/** Something that could not be seen. */
export interface Unseen {
  readonly what: string
  readonly why: string
}

export type QuorumReport =
  | { readonly ok: true; readonly linearizableP50Ms: number }
  | { readonly ok: false; readonly reason: string }

/** A member of the cluster, or an endpoint that is none of a known member. */
export interface MemberReport {
  readonly name: string
  /** `undefined` where it is not known: a silent endpoint, while the list of members could not be read. */
  readonly id: string | undefined
  readonly endpoint: string
  readonly isLearner: boolean
  readonly answer: MemberAnswer | { readonly kind: 'silent'; readonly reason: string }
  readonly roundTrip: Spread | undefined
  /** Facts from its metrics, which most operators expose on the client port. */
  readonly metrics: MemberMetrics | undefined
  readonly tls: TlsReport | undefined
  /** How far its clock is ahead of the one here, and how sure that is. */
  readonly clock: { readonly aheadMs: number; readonly uncertaintyMs: number } | undefined
}

/** The status of a member. */
export interface MemberAnswer {
  readonly kind: 'answered'
  readonly version: string
  readonly isLeader: boolean
  /** The leader that it knows; `undefined` for none. */
  readonly leader: string | undefined
  readonly raftTerm: number
  readonly raftIndex: number
  readonly appliedIndex: number
  readonly revision: number
  readonly dbBytes: number
  readonly dbInUseBytes: number
  /** 0 stands for the default. */
  readonly quotaBytes: number | undefined
  readonly errors: readonly string[]
}

/** Times of many calls. */
export interface Spread {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly samples: number
}

/** Facts from a member's metrics since its start. */
export interface MemberMetrics {
  readonly uptimeSeconds: number | undefined
  readonly leaderChanges: number | undefined
  readonly walFsync: Quantile | undefined
  readonly backendCommit: Quantile | undefined
  /** To each other member, by its id. */
  readonly peers: readonly { readonly id: string; readonly roundTrip: Quantile }[]
  readonly watchers: number | undefined
  readonly quotaBytes: number | undefined
  readonly currentRevision: number | undefined
  readonly compactRevision: number | undefined
}

/** A quantile of a histogram: an upper bound of most of its samples. */
export interface Quantile {
  readonly ms: number
  readonly samples: number
}

/** The certificate that a member shows. */
export interface TlsReport {
  readonly subject: string
  readonly expiresAt: Date
}

/** An alarm that is raised. */
export interface AlarmReport {
  readonly member: string
  readonly type: string
}

/** How the keys are distributed. */
export interface KeysReport {
  readonly total: number
  /** Whether every key was read; otherwise bytes are estimated and `largest` is what was found. */
  readonly isExact: boolean
  /** The largest branches, by keys and bytes, largest first. */
  readonly prefixes: readonly PrefixReport[]
  /** The largest keys that were seen, largest first. */
  readonly largest: readonly LargeKey[]
  /** Keys that were read with their values. */
  readonly sampled: number
  /** Of those, the keys that are attached to a lease, and how many leases these are. */
  readonly withLease: number
  readonly distinctLeases: number
}

/** All keys under one prefix. */
export interface PrefixReport {
  readonly prefix: string
  readonly keys: number
  readonly bytes: number
}

/** A key and the size of its value. */
export interface LargeKey {
  readonly key: string
  readonly bytes: number
}

/** How leases are used. */
export interface LeasesReport {
  readonly total: number
  /** Of a sample: how many keys each has. */
  readonly sampled: number
  readonly keysOfSampled: number
  /** Leases of the sample that have no key. */
  readonly withoutKeys: number
  /** How many of the sample have the time to live that most of them have. */
  readonly commonTtlSeconds: number | undefined
  readonly withCommonTtl: number
}

/** Members that answered, with their answers. */
export function answering(report: ClusterReport): readonly (MemberReport & { readonly answer: MemberAnswer })[] {
  return report.members.flatMap((member) =>
    member.answer.kind === 'answered' ? [{ ...member, answer: member.answer }] : [],
  )
}

/** etcd's own quota, where nothing else is set. */
export const defaultQuotaBytes = 2 * 2 ** 30

/** The quota of a member's database; etcd's default where it cannot be seen. */
export function quotaOf({ answer, metrics }: MemberReport): { readonly bytes: number; readonly isKnown: boolean } {
  const reported = answer.kind === 'answered' ? answer.quotaBytes : undefined
  const bytes = reported ?? metrics?.quotaBytes
  if (bytes === undefined || bytes <= 0) return { bytes: defaultQuotaBytes, isKnown: bytes !== undefined }
  return { bytes, isKnown: true }
}
