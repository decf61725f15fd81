import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findingsOf } from '../../src/cli/doctor/findings.js'
import { faultsOf, releaseWithout } from '../../src/cli/doctor/known-faults.js'
import { peerRoundTrip, timerAdvice } from '../../src/cli/doctor/peer-round-trip.js'
import type { ClusterReport, KeysReport, LeasesReport } from '../../src/cli/doctor/report.js'
import { answer, member, metrics, report } from './doctor-reports.js'

/** What is found, as `severity id members`. */
function found(changes: Partial<ClusterReport>): string[] {
  return findingsOf(report(changes)).map(({ severity, id, members }) => [severity, id, ...members].join(' '))
}

const silent = { answer: { kind: 'silent', reason: 'ECONNREFUSED' } } as const
const GiB = 2 ** 30

const keys = (changes: Partial<KeysReport> = {}): KeysReport => ({
  total: 100,
  isExact: true,
  prefixes: [{ prefix: 'svc/', keys: 100, bytes: 10_000 }],
  largest: [{ key: 'svc/a', bytes: 1000 }],
  sampled: 100,
  withLease: 0,
  distinctLeases: 0,
  ...changes,
})

const leases = (changes: Partial<LeasesReport> = {}): LeasesReport => ({
  total: 1000,
  sampled: 100,
  keysOfSampled: 1000,
  withoutKeys: 0,
  commonTtlSeconds: 10,
  withCommonTtl: 100,
  ...changes,
})

describe('The findings', () => {
  test('of a healthy cluster are empty', () => {
    assert.deepEqual(found({}), [])
    assert.deepEqual(found({ keys: keys(), leases: leases() }), [])
    // Nothing but what etcd itself says, without metrics, certificates and clocks.
    const bare = { metrics: undefined, tls: undefined, clock: undefined, roundTrip: undefined }
    assert.deepEqual(found({ members: [0, 1, 2].map((index) => member(index, bare)), authEnabled: true }), [])
  })

  const cases: readonly (readonly [string, Partial<ClusterReport>, readonly string[]])[] = [
    [
      'of three members one silent',
      { members: [member(0), member(1), member(2, silent)] },
      ['critical member-silent m2'],
    ],
    [
      'of five members one silent',
      { members: [0, 1, 2, 3, 4].map((index) => member(index, index === 4 ? silent : {})) },
      ['warning member-silent m4'],
    ],
    [
      'a silent learner',
      { members: [member(0), member(1), member(2), member(3, { ...silent, isLearner: true })] },
      ['warning member-silent m3', 'advice learner m3'],
    ],
    ['no quorum', { quorum: { ok: false, reason: 'no leader' } }, ['critical no-quorum']],
    [
      'a member that knows no leader',
      { members: [member(0), member(1), member(2, { answer: answer({ leader: undefined }) })] },
      ['critical member-without-leader m2'],
    ],
    [
      'members that name different leaders',
      { members: [member(0), member(1), member(2, { answer: answer({ leader: 'aa2', isLeader: true }) })] },
      ['warning leaders-differ m0 m1 m2'],
    ],
    ['one member', { members: [member(0)] }, ['advice single-member']],
    ['an even number of members', { members: [0, 1, 2, 3].map((index) => member(index)) }, ['advice even-members']],
    [
      'an endpoint of nobody',
      { endpoints: [{ endpoint: 'http://x:1', memberId: undefined, reason: 'ENOTFOUND' }] },
      ['warning endpoint-silent'],
    ],
    ['the alarm NOSPACE', { alarms: [{ member: 'm1', type: 'NOSPACE' }] }, ['critical no-space m1']],
    ['the alarm CORRUPT', { alarms: [{ member: 'm1', type: 'CORRUPT' }] }, ['critical corrupt m1']],
    [
      'a database near its quota',
      {
        members: [
          member(0, { answer: answer({ isLeader: true, dbBytes: 1.7 * GiB, dbInUseBytes: 1.6 * GiB }) }),
          member(1),
          member(2),
        ],
      },
      ['warning quota m0'],
    ],
    [
      'a database at its quota',
      {
        members: [
          member(0),
          member(1),
          member(2, { answer: answer({ dbBytes: 1.95 * GiB, dbInUseBytes: 1.9 * GiB }) }),
        ],
      },
      ['critical quota m2'],
    ],
    [
      'the quota in the metrics when status has none',
      {
        members: [
          member(0),
          member(1),
          member(2, {
            answer: answer({ quotaBytes: undefined, dbBytes: 1.95 * GiB, dbInUseBytes: 1.9 * GiB }),
            metrics: metrics({ quotaBytes: 8 * GiB }),
          }),
        ],
      },
      [],
    ],
    [
      'a fragmented database',
      {
        members: [
          member(0),
          member(1, { answer: answer({ dbBytes: 200 * 2 ** 20, dbInUseBytes: 50 * 2 ** 20 }) }),
          member(2),
        ],
      },
      ['warning fragmented m1'],
    ],
    [
      'a small fragmented database',
      {
        members: [
          member(0),
          member(1, { answer: answer({ dbBytes: 20 * 2 ** 20, dbInUseBytes: 2 ** 20 }) }),
          member(2),
        ],
      },
      [],
    ],
    [
      'a long history',
      {
        members: [
          member(0, { metrics: metrics({ currentRevision: 3_000_000, compactRevision: -1 }) }),
          member(1),
          member(2),
        ],
      },
      ['advice history'],
    ],
    [
      'a member that applies slowly',
      {
        members: [
          member(0),
          member(1, { answer: answer({ raftIndex: 9000, appliedIndex: 7000 }) }),
          member(2, { answer: answer({ raftIndex: 9000, appliedIndex: 9000 }) }),
        ],
      },
      ['warning apply-lag m1', 'warning raft-lag m0'],
    ],
    [
      'a member that applies so slowly that writes are refused',
      {
        members: [
          member(0, { answer: answer({ isLeader: true, raftIndex: 6100 }) }),
          member(1, { answer: answer({ raftIndex: 6100, appliedIndex: 6100 }) }),
          member(2, { answer: answer({ raftIndex: 6100, appliedIndex: 6100 }) }),
        ],
      },
      ['critical apply-lag m0'],
    ],
    ['slow agreement', { quorum: { ok: true, linearizableP50Ms: 800 } }, ['warning slow-reads']],
    [
      'long round trips between members',
      {
        members: [
          member(0, { metrics: metrics({ peers: [{ id: 'aa1', roundTrip: { ms: 150, samples: 50 } }] }) }),
          member(1),
          member(2),
        ],
      },
      ['warning timers'],
    ],
    [
      'long round trips of which there are few samples',
      {
        members: [0, 1, 2].map((index) =>
          member(index, { metrics: metrics({ peers: [{ id: 'x', roundTrip: { ms: 150, samples: 2 } }] }) }),
        ),
      },
      [],
    ],
    [
      'a disk that is not fast',
      { members: [member(0, { metrics: metrics({ walFsync: { ms: 30, samples: 1000 } }) }), member(1), member(2)] },
      ['advice slow-disk m0'],
    ],
    [
      'a slow disk',
      {
        members: [member(0, { metrics: metrics({ backendCommit: { ms: 300, samples: 1000 } }) }), member(1), member(2)],
      },
      ['warning slow-disk m0'],
    ],
    [
      'many elections',
      { members: [member(0, { metrics: metrics({ leaderChanges: 50, uptimeSeconds: 7200 }) }), member(1), member(2)] },
      ['warning elections m0'],
    ],
    [
      'a clock that is wrong',
      { members: [member(0), member(1), member(2, { clock: { aheadMs: -60_000, uncertaintyMs: 510 } })] },
      ['warning clock m2'],
    ],
    [
      'a certificate that ends soon',
      { members: [member(0, { tls: { subject: 'etcd', expiresAt: new Date('2029-01-20') } }), member(1), member(2)] },
      ['warning certificate m0'],
    ],
    [
      'a certificate that ends now',
      { members: [member(0, { tls: { subject: 'etcd', expiresAt: new Date('2029-01-03') } }), member(1), member(2)] },
      ['critical certificate m0'],
    ],
    ['a password in clear', { passwordInClear: true }, ['warning clear-password']],
    [
      'neither authentication nor TLS',
      { authEnabled: false, members: [0, 1, 2].map((index) => member(index, { tls: undefined })) },
      ['advice open'],
    ],
    [
      'neither of them on this machine',
      {
        authEnabled: false,
        members: [0, 1, 2].map((index) => member(index, { tls: undefined, endpoint: 'http://127.0.0.1:1' })),
      },
      [],
    ],
    [
      'an old release',
      {
        members: [0, 1, 2].map((index) =>
          member(index, { answer: answer({ isLeader: index === 0, version: '3.4.23' }) }),
        ),
      },
      ['warning unsupported-version m0 m1 m2', 'warning known-faults m0 m1 m2'],
    ],
    [
      'an unfinished upgrade',
      { members: [member(0), member(1), member(2, { answer: answer({ version: '3.7.1' }) })] },
      ['warning mixed-versions m0 m1 m2'],
    ],
    [
      'a large prefix',
      { keys: keys({ prefixes: [{ prefix: 'p/', keys: 200_000, bytes: 1 }] }) },
      ['advice large-prefix'],
    ],
    ['a large value', { keys: keys({ largest: [{ key: 'k', bytes: 200_000 }] }) }, ['advice large-values']],
    [
      'a value near the limit',
      { keys: keys({ largest: [{ key: 'k', bytes: 1_400_000 }] }) },
      ['warning near-size-limit'],
    ],
    ['a lease for each key', { leases: leases({ keysOfSampled: 100 }) }, ['advice lease-reuse']],
    ['few leases with a key each', { leases: leases({ total: 100, keysOfSampled: 100 }) }, []],
    [
      'leases without keys',
      { leases: leases({ keysOfSampled: 10, withoutKeys: 90 }) },
      ['advice lease-reuse', 'advice leases-without-keys'],
    ],
  ]
  for (const [what, changes, expected] of cases) {
    test(`of ${what} are ${expected.length === 0 ? 'empty' : expected.join(', ')}`, () => {
      assert.deepEqual(found(changes), expected)
    })
  }

  test('contain numbers and steps, the worst first', () => {
    for (const [, changes] of cases) {
      const findings = findingsOf(report(changes))
      const ranks = findings.map(({ severity }) => ['critical', 'warning', 'advice'].indexOf(severity))
      assert.deepEqual(ranks, ranks.toSorted())
      for (const { title, advice } of findings) {
        assert.ok(title !== '' && advice.length > 0)
        assert.doesNotMatch([title, ...advice].join(' '), /NaN|undefined|Infinity|\[object/)
      }
    }
  })
})

describe('The recommended timers', () => {
  test('are 0.5 to 1.5 round trips for the heartbeat and ten for the election', () => {
    assert.deepEqual(timerAdvice(200), { heartbeatMs: [100, 300], electionMs: 2000, defaultsSuit: false })
    assert.deepEqual(timerAdvice(1), { heartbeatMs: [1, 2], electionMs: 1000, defaultsSuit: true })
    assert.equal(timerAdvice(10_000).electionMs, 50_000)
  })

  test('are computed from what members measure, or from a bound measured by the client', () => {
    assert.deepEqual(peerRoundTrip(report()), { ms: 1, kind: 'measured' })
    const far = [0, 1, 2].map((index) =>
      member(index, { metrics: undefined, roundTrip: { p50Ms: index + 1, p99Ms: 9, samples: 9 } }),
    )
    assert.deepEqual(peerRoundTrip(report({ members: far })), { ms: 5, kind: 'bounded' })
    assert.equal(peerRoundTrip(report({ members: far.slice(0, 1) })), undefined)
  })
})

describe('The known bugs', () => {
  test('of a release do not include bugs fixed in it', () => {
    assert.ok(faultsOf('3.4.23', false).length >= 4)
    assert.deepEqual(
      faultsOf('3.5.8', false).some(({ text }) => text.includes('overtake')),
      false,
    )
    assert.deepEqual(
      faultsOf('3.5.7', false).some(({ text }) => text.includes('overtake')),
      true,
    )
    assert.deepEqual(faultsOf('3.7.1', true), [])
    assert.deepEqual(faultsOf('not a version', true), [])
    assert.equal(releaseWithout('3.5.16', faultsOf('3.5.16', true)), '3.5.32')
  })

  test('of authentication are reported for clusters that use it', () => {
    const kinds = (auth: boolean) => new Set(faultsOf('3.6.8', auth).map(({ kind }) => kind))
    assert.equal(kinds(true).has('security'), true)
    assert.equal(kinds(false).has('security'), false)
  })
})
