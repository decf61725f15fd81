import assert from 'node:assert/strict'
import { beforeEach, describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { StatusResponse } from '../../src/protobuf/generated/messages.js'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
import { reasonOf } from '../../src/transport/connection/connection-events.js'
import { MemberHealth } from '../../src/transport/connection/member-health.js'

const status = { leader: '1', isLearner: false, header: undefined } as unknown as StatusResponse
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Probe {
  answer(status: StatusResponse): void
  fail(error: unknown): void
}

describe('A member that answers a probe late', () => {
  let probes: Probe[]
  let health: MemberHealth

  beforeEach((t) => {
    if (!('mock' in t)) throw new Error('the hook has no mock timers')
    t.mock.timers.enable({ apis: ['setTimeout'] })
    probes = []
    const identity = new ClusterIdentity({ clusterChanged() {}, revisionRewound() {}, termRaised() {} })
    health = new MemberHealth({
      identity,
      probeTimeoutMs: () => 1000,
      status: () => new Promise((answer, fail) => probes.push({ answer, fail })),
      stateChanged() {},
      statusReceived() {},
      otherClusterFound() {},
      ejected() {},
    })
    health.connecting()
    health.connected()
    t.mock.timers.tick(1000)
    assert.equal(health.state.kind, 'ejected')
  })

  test('is ready from then on', async () => {
    probes[0]?.answer(status)
    await turn()
    assert.equal(health.state.kind, 'ready')
  })

  test('is ready although another probe is under way, whose failure changes nothing', async (t) => {
    t.mock.timers.tick(250)
    assert.deepEqual([health.state.kind, probes.length], ['probing', 2])
    probes[0]?.answer(status)
    await turn()
    assert.equal(health.state.kind, 'ready')
    probes[1]?.fail(new EtcdError('lost', { code: 'CONNECTION_LOST', effect: 'unknown' }))
    await turn()
    assert.equal(health.state.kind, 'ready')
  })

  test('is ready when it refuses the probe', async () => {
    probes[0]?.fail(new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' }))
    await turn()
    assert.equal(health.state.kind, 'ready')
  })

  test('stays ejected when the probe fails in the end', async () => {
    probes[0]?.fail(new EtcdError('lost', { code: 'DEADLINE_EXCEEDED', effect: 'unknown' }))
    await turn()
    assert.equal(health.state.kind, 'ejected')
  })

  test('is not ready by an answer on a former connection', async () => {
    health.connecting()
    health.connected()
    probes[0]?.answer(status)
    await turn()
    assert.equal(health.state.kind, 'probing')
  })

  test('is not ready by an answer on a former connection, although the current one is silent as well', async (t) => {
    health.connecting()
    health.connected()
    t.mock.timers.tick(1000)
    probes[0]?.answer(status)
    await turn()
    assert.equal(health.state.kind, 'ejected')
  })
})

describe('The health of a member', () => {
  const own = { clusterId: 'c1', memberId: '1', revision: 1, raftTerm: 2 }
  const leading = { leader: '1', isLearner: false, header: own } as unknown as StatusResponse

  /** A member whose answers the test gives, and what its connection learns. */
  function member(t: TestContext) {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const probes: Probe[] = []
    const ejections: string[] = []
    let changes = 0
    const identity = new ClusterIdentity({ clusterChanged() {}, revisionRewound() {}, termRaised() {} })
    identity.admits(own)
    const health = new MemberHealth({
      identity,
      probeTimeoutMs: () => 1000,
      status: () => new Promise((answer, fail) => probes.push({ answer, fail })),
      stateChanged: () => (changes += 1),
      statusReceived() {},
      otherClusterFound() {},
      ejected: (reason, count) => ejections.push(`${reason} ${count}`),
    })
    const answer = async (status: StatusResponse | EtcdError): Promise<string> => {
      const probe = probes.at(-1) ?? assert.fail('no probe was sent')
      if (status instanceof EtcdError) probe.fail(status)
      else probe.answer(status)
      await turn()
      const { state } = health
      return state.kind === 'ejected' ? state.reason : state.kind
    }
    const connected = (): MemberHealth => {
      health.connecting()
      health.connected()
      return health
    }
    const refresh = (status: StatusResponse): Promise<string> => {
      void health.refresh()
      return answer(status)
    }
    return { health, connected, answer, refresh, probes, ejections, changes: () => changes }
  }

  const denied = new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' })
  const leaderless = { ...leading, leader: undefined } as unknown as StatusResponse
  const learner = { ...leaderless, isLearner: true } as unknown as StatusResponse
  const stranger = { ...leading, header: { ...own, clusterId: 'c2' } } as unknown as StatusResponse

  const answers: [string, StatusResponse | EtcdError, string][] = [
    ['ready with a leader', leading, 'ready'],
    ['ready as a learner, which need not know the leader', learner, 'ready'],
    ['ready although it refuses to report its status', denied, 'ready'],
    ['ejected without a leader', leaderless, 'no leader'],
    ['ejected in another cluster', stranger, 'other cluster'],
  ]
  for (const [title, status, expected] of answers) {
    test(`is ${title}`, async (t) => {
      const { connected, answer } = member(t)
      connected()
      assert.equal(await answer(status), expected)
    })
  }

  test('ends when a later status shows no leader', async (t) => {
    const { connected, answer, refresh } = member(t)
    connected()
    await answer(leading)
    assert.equal(await refresh(leaderless), 'no leader')
  })

  test('shows its role, and reports each change between learner and voter', async (t) => {
    const { health, connected, answer, refresh, changes } = member(t)
    connected()
    await answer(learner)
    assert.equal(health.role, 'learner')
    const before = changes()
    await refresh({ ...leading, leader: '2' } as unknown as StatusResponse)
    assert.deepEqual([health.role, changes()], ['follower', before + 1])
    await refresh(leading)
    assert.deepEqual([health.role, changes()], ['leader', before + 1])
  })

  test('remembers another cluster when the member does not report its status, until the next connection', async (t) => {
    const { health, connected, answer } = member(t)
    connected()
    await answer(leading)
    health.otherClusterFound({ ...own, clusterId: 'c2' })
    assert.deepEqual([health.state.kind, health.clusterId], ['ejected', 'c2'])
    health.probeNow()
    assert.equal(await answer(denied), 'other cluster')
    connected()
    assert.equal(health.clusterId, undefined)
    assert.equal(await answer(denied), 'ready')
  })

  test('counts consecutive ejections, for the backoff', async (t) => {
    const { connected, answer, ejections } = member(t)
    connected()
    for (let count = 0; count < 3; count += 1) {
      await answer(leaderless)
      t.mock.timers.tick(500)
    }
    assert.deepEqual(ejections, ['no leader 1', 'no leader 2', 'no leader 3'])
  })

  test('keeps the reason of a failed attempt to connect while the next one is under way', (t) => {
    const { health } = member(t)
    health.connecting('refused')
    health.connecting()
    assert.equal(health.state.kind === 'connecting' && health.state.error, 'refused')
  })

  test('keeps what a proxy answered while the next probe is under way', async (t) => {
    const { connected, answer, health } = member(t)
    connected()
    await answer(new EtcdError('Received HTTP status code 404', { code: 'CONNECTION_LOST', effect: 'none' }))
    t.mock.timers.tick(250)
    assert.equal(health.state.kind === 'probing' && reasonOf(health.state), 'Received HTTP status code 404')
    connected()
    assert.equal(reasonOf(health.state), undefined)
  })

  test('ends with the connection: nothing follows close()', async (t) => {
    const { connected, answer, health, probes } = member(t)
    connected()
    health.close()
    assert.equal(await answer(leading), 'closed')
    health.connecting('refused')
    t.mock.timers.tick(60_000)
    assert.deepEqual([health.state.kind, probes.length], ['closed', 1])
  })

  test('sends one probe after an ejection, although a new connection has come meanwhile', async (t) => {
    const { connected, answer, probes } = member(t)
    connected()
    await answer(leaderless)
    connected()
    await answer(leading)
    t.mock.timers.tick(60_000)
    assert.equal(probes.length, 2)
  })
})
