import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type ClusterFollowed, ClusterFollower } from '../../src/transport/connection/cluster-follower.js'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
import type { Connection } from '../../src/transport/connection/connection.js'
import type { ConnectionState } from '../../src/transport/connection/connection-state.js'
import type { EjectReason } from '../../src/transport/connection/ejection.js'
import { header } from '../support/fake-transport.js'

interface Member {
  readonly clusterId?: string
  readonly state?: ConnectionState['kind']
  readonly reason?: EjectReason
  /** Advertised by other members, not configured. */
  readonly isAdvertised?: boolean
}

const mine: Member = { clusterId: 'c1' }
const stranger: Member = { clusterId: 'c2', state: 'ejected', reason: 'other cluster' }
const down: Member = { state: 'connecting' }

/** A follower of a client of cluster c1 with these connections. */
function followerOf(t: TestContext, members: readonly Member[]) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const listener = { clusterChanged: () => {}, revisionRewound: () => {}, termRaised: () => {} }
  const identity = new ClusterIdentity(listener)
  identity.observe(header({ clusterId: 'c1' }), 'a', 0)
  const changes: ClusterFollowed[] = []
  const host = {
    identity,
    connections: [] as Connection[],
    seedConnections: [] as Connection[],
    followed: (change: ClusterFollowed) => changes.push(change),
  }
  const follower = new ClusterFollower(host)
  const set = (now: readonly Member[]): void => {
    host.connections = now.map((member, index) => connection(`m${index}`, member))
    host.seedConnections = host.connections.filter((_, index) => now[index]?.isAdvertised !== true)
    for (const each of host.connections) follower.found(each)
    follower.check()
  }
  set(members)
  return { identity, changes, set, follower, pass: (ms: number) => t.mock.timers.tick(ms) }
}

function connection(url: string, { clusterId, state = 'ready', reason }: Member): Connection {
  const isConnected = state !== 'connecting'
  // The follower uses these fields only.
  return { url, clusterId, isConnected, state: { kind: state, reason }, probeNow: () => {} } as unknown as Connection
}

describe('Another cluster', () => {
  test('is followed at once if most endpoints belong to it', (t) => {
    const { identity, changes } = followerOf(t, [stranger, stranger, down])
    assert.equal(identity.clusterId, 'c2')
    assert.deepEqual(changes, [{ expected: 'c1', actual: 'c2', agreed: ['m0', 'm1'], unreachable: ['m2'] }])
  })

  const agreed: [string, Member[]][] = [
    ['two of three are down', [stranger, down, down]],
    ['the others are connected, but silent', [stranger, { state: 'ejected', reason: 'unresponsive' }, down]],
    ['advertised addresses cannot be reached', [stranger, ...[1, 2, 3].map(() => ({ ...down, isAdvertised: true }))]],
  ]
  for (const [when, members] of agreed) {
    test(`is followed after 5 s if all reachable endpoints agree: ${when}`, (t) => {
      const { identity, changes, follower, pass } = followerOf(t, members)
      pass(4999)
      assert.deepEqual([identity.clusterId, changes], ['c1', []])
      pass(1)
      assert.equal(identity.clusterId, 'c2')
      assert.deepEqual(changes, [follower.last])
      assert.deepEqual([changes[0]?.agreed, changes[0]?.unreachable.length], [['m0'], members.length - 1])
    })
  }

  const refused: [string, Member[]][] = [
    ['one of the client’s own can be reached', [stranger, down, mine]],
    ['as many belong to the own cluster', [stranger, stranger, mine, mine]],
    ['one can be reached of which nothing is known', [stranger, down, {}]],
    ['one of a third cluster can be reached', [stranger, { ...stranger, clusterId: 'c3' }, down]],
    ['only advertised addresses say so', [{ ...stranger, isAdvertised: true }, down, down]],
    ['nobody can be reached', [down, down, down]],
  ]
  for (const [when, members] of refused) {
    test(`is not followed while ${when}`, (t) => {
      const { identity, changes, pass } = followerOf(t, members)
      pass(60_000)
      assert.deepEqual([identity.clusterId, changes], ['c1', []])
    })
  }

  test('is followed only 5 s later if a member of the own cluster was reachable meanwhile', (t) => {
    const { identity, set, pass } = followerOf(t, [stranger, down, down])
    pass(4000)
    set([stranger, mine, down])
    set([stranger, down, down])
    pass(4000)
    assert.equal(identity.clusterId, 'c1')
    pass(1000)
    assert.equal(identity.clusterId, 'c2')
  })

  test('is not followed by a closed client', (t) => {
    const { identity, follower, pass } = followerOf(t, [stranger, down, down])
    follower.stop()
    pass(60_000)
    assert.equal(identity.clusterId, 'c1')
  })
})
