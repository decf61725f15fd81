import type { ClusterReport, MemberAnswer, MemberMetrics, MemberReport } from '../../src/cli/doctor/report.js'

/** What a sound member says. */
export function answer(changes: Partial<MemberAnswer> = {}): MemberAnswer {
  return {
    kind: 'answered',
    version: '3.6.16',
    isLeader: false,
    leader: 'aa0',
    raftTerm: 2,
    raftIndex: 1000,
    appliedIndex: 1000,
    revision: 900,
    dbBytes: 50 * 2 ** 20,
    dbInUseBytes: 40 * 2 ** 20,
    quotaBytes: 2 * 2 ** 30,
    errors: [],
    ...changes,
  }
}

/** The metrics of a sound member. */
export function metrics(changes: Partial<MemberMetrics> = {}): MemberMetrics {
  return {
    uptimeSeconds: 86_400,
    leaderChanges: 1,
    walFsync: { ms: 2, samples: 10_000 },
    backendCommit: { ms: 5, samples: 10_000 },
    peers: [{ id: 'aa1', roundTrip: { ms: 1, samples: 1000 } }],
    watchers: 10,
    quotaBytes: 2 * 2 ** 30,
    currentRevision: 900,
    compactRevision: 100,
    ...changes,
  }
}

/** A sound member. */
export function member(index: number, changes: Partial<MemberReport> = {}): MemberReport {
  return {
    name: `m${index}`,
    id: `aa${index}`,
    endpoint: `https://10.0.0.${index + 1}:2379`,
    isLearner: false,
    answer: answer({ isLeader: index === 0 }),
    roundTrip: { p50Ms: 1, p99Ms: 2, samples: 50 },
    metrics: metrics(),
    tls: { subject: 'etcd', expiresAt: new Date('2030-01-01') },
    clock: { aheadMs: 100, uncertaintyMs: 510 },
    ...changes,
  }
}

/** A sound cluster of three. */
export function report(changes: Partial<ClusterReport> = {}): ClusterReport {
  return {
    at: new Date('2029-01-01'),
    endpoints: [{ endpoint: 'https://10.0.0.1:2379', memberId: 'aa0', reason: undefined }],
    clusterId: 'c1',
    members: [member(0), member(1), member(2)],
    quorum: { ok: true, linearizableP50Ms: 2 },
    alarms: [],
    authEnabled: true,
    passwordInClear: false,
    keys: undefined,
    leases: undefined,
    unseen: [],
    ...changes,
  }
}
