import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { StatusResponse } from '../../src/protobuf/generated/messages.js'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
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
