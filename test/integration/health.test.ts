import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Etcd } from '../../src/index.js'
import { reservePort } from '../../src/testing/index.js'
import { poll } from '../../src/testing/poll.js'
import { startCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient, untyped } from '../support/fixtures.js'
import { within } from '../support/slack.js'

describe('The health of a cluster', () => {
  test('is good when every member serves, learners included', async (t) => {
    const cluster = await startCluster(t, { members: 3, flags: { 'strict-reconfig-check': false } })
    const learner = memberAt(cluster, await cluster.addLearner())
    const etcd = createClient(t, cluster)
    const health = await etcd.health()
    assert.deepEqual([health.status, health.problems, health.alarms], ['healthy', [], []])
    assert.deepEqual(
      health.members.map(({ endpoint, memberId, isLearner, isHealthy }) => [endpoint, memberId, isLearner, isHealthy]),
      cluster.members.map((member) => [member.endpoint, member.memberId, member === learner, true]),
    )
    assert.ok(
      health.members.every(({ durationMs: tookMs, error }) => tookMs > 0 && tookMs < 3000 && error === undefined),
    )
  })

  test('is degraded by a dead member, without waiting for it, and by an alarm', async (t) => {
    const cluster = await startCluster(t, { members: 3 })
    const etcd = createClient(t, cluster)
    await etcd.connect()
    const alarm = { memberId: memberAt(cluster, 1).memberId, type: 'NOSPACE' } as const
    await etcd.maintenance.alarms.activate(alarm)
    const alarmed = await etcd.health()
    assert.deepEqual(
      [alarmed.status, alarmed.alarms, alarmed.problems],
      ['degraded', [alarm], [`alarm NOSPACE of member ${alarm.memberId}`]],
    )
    await etcd.maintenance.alarms.disarmAll()
    await cluster.kill(2)
    const [, , dead = ''] = cluster.endpoints
    await poll('the client knows', () => etcd.endpoints()[2]?.reason)
    const health = await etcd.health({ timeoutMs: 60_000 })
    assert.equal(health.status, 'degraded')
    assert.deepEqual(
      health.members.map(({ isHealthy }) => isHealthy),
      [true, true, false],
    )
    assert.ok((health.members[2]?.durationMs ?? Number.NaN) < within(5000))
    assert.match(health.problems.join(), new RegExp(`^${dead} does not serve: .*NOT_CONNECTED`))
    await cluster.restart(2)
    await poll('it is well again', async () => (await etcd.health()).status === 'healthy' || undefined)
  })

  test('is reported immediately when all members refuse connections', async (t) => {
    const { port, release } = await reservePort()
    t.after(release)
    await using etcd = new Etcd({ endpoints: `http://127.0.0.1:${port}` })
    await poll('the client knows', async () => {
      await etcd.connect({ timeoutMs: 50 }).catch(() => {})
      return etcd.endpoints()[0]?.reason
    })
    const startedAt = performance.now()
    const health = await etcd.health({ timeoutMs: 20_000 })
    assert.deepEqual([health.status, health.problems.length], ['unhealthy', 1])
    assert.ok(performance.now() - startedAt < within(10_000))
  })

  test('is bad without a majority, also for a new client: the remaining member has no leader', async (t) => {
    const cluster = await startCluster(t, { members: 3 })
    for (const index of [1, 2]) await cluster.pause(index)
    const etcd = createClient(t, cluster)
    const health = await poll('the member has noticed', async () => {
      const found = await etcd.health({ timeoutMs: 1000 })
      const { code } = Object(found.members[0]?.error)
      return code === 'NO_LEADER' ? found : undefined
    })
    assert.deepEqual([health.status, health.members.length, health.problems.length], ['unhealthy', 3, 3])
    // Also a client that never had more than this one member gets from it what it has without a leader.
    assert.equal(await etcd.get('key', { mode: 'serializable' }), undefined)
    for (const index of [1, 2]) await cluster.resume(index)
    await poll('it is well again', async () => (await etcd.health()).status === 'healthy' || undefined)
  })

  test('is good for a user without read permission, and bad for an unknown user', async (t) => {
    const rootPassword = 'root'
    const cluster = await startCluster(t, { auth: { rootPassword } })
    const root = createClient(t, cluster, { auth: { username: 'root', password: rootPassword } })
    await root.auth.users.add('guest', 'guest')
    const guest = createClient(t, cluster, { auth: { username: 'guest', password: 'guest' } })
    assert.deepEqual((await guest.health()).problems, [])
    const health = await createClient(t, cluster).health()
    assert.equal(health.status, 'unhealthy')
    assert.equal(Object(health.members[0]?.error).code, 'USER_EMPTY')
  })

  test('is not reported after the client is closed or the caller aborted', async (t) => {
    const cluster = await startCluster(t)
    const etcd = createClient(t, cluster)
    const reason = new Error('enough')
    await assert.rejects(etcd.health({ signal: AbortSignal.abort(reason) }), reason)
    await assert.rejects(untyped(etcd).health?.({ timeout: 1 }) ?? assert.fail(), /unknown option `timeout` of health/)
    await etcd.close()
    await assert.rejects(etcd.health(), { code: 'CLOSED' })
  })
})
