import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type EndpointResult, Etcd, isEtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/poll.js'
import { useClient, useCluster } from '../support/cluster.js'
import { memberAt, served } from '../support/cluster-view.js'
import { createClient, fill, untyped } from '../support/fixtures.js'

/** The values of results that must all be there. */
function valuesOf<T>(results: readonly EndpointResult<T>[]): T[] {
  return results.map((result) => (result.ok ? result.value : assert.fail(String(result.error))))
}

describe('Cluster maintenance', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)

  test('reports the status of the requested member, whatever form the endpoint has', async () => {
    const leader = memberAt(cluster, await cluster.leader())
    for (const member of cluster.members) {
      const status = await etcd.maintenance.status({ endpoint: new URL(member.clientUrl).host })
      assert.deepEqual(
        [status.endpoint, status.memberId, status.version, status.isLeader, status.leaderId, status.isLearner],
        [member.endpoint, member.memberId, member.version, member === leader, leader.memberId, false],
      )
      assert.ok(status.dbSizeBytes >= status.dbSizeInUseBytes && status.dbSizeInUseBytes > 0)
      assert.ok(status.raftIndex >= status.raftAppliedIndex && status.raftTerm > 0 && status.revision > 0)
      assert.match(status.clusterId, /^[0-9a-f]+$/)
      assert.deepEqual([status.errors, status.downgradeTarget], [[], undefined])
    }
  })

  test('reports the status of all members, and the reason for unreachable ones', async (t) => {
    const [first = '', ...others] = cluster.endpoints
    const partial = createClient(t, { endpoints: [first, 'http://127.0.0.1:1', ...others] }, { connectTimeoutMs: 300 })
    const statuses = await partial.maintenance.statuses()
    assert.deepEqual(
      statuses.map(({ endpoint, ok }) => [endpoint, ok]),
      [[first, true], ['http://127.0.0.1:1', false], ...others.map((url) => [url, true])],
    )
    const failure = statuses.find((result) => !result.ok)
    assert.ok(failure?.ok === false && isEtcdError(failure.error, 'NOT_CONNECTED'))
  })

  test('hashes equal keys to equal hashes at a revision', async () => {
    await fill(etcd.namespace('hash/'), 200)
    const { revision } = await etcd.put('hash/last', 'value')
    await etcd.compact(revision - 1)
    const hashes = await poll('the members have compacted', async () => {
      const found = valuesOf(await etcd.maintenance.hashKvs({ revision }))
      return found.every(({ compactRevision }) => compactRevision === revision - 1) ? found : undefined
    })
    assert.equal(new Set(hashes.map(({ hash }) => hash)).size, 1)
    assert.ok(hashes.every(({ hashRevision }) => hashRevision === revision))
    assert.deepEqual(new Set(hashes.map(({ memberId }) => memberId)).size, 3)
    const endpoint = cluster.endpoints[0] ?? ''
    const one = await etcd.maintenance.hashKv({ endpoint })
    assert.deepEqual([one.endpoint, one.hashRevision >= revision], [endpoint, true])
    assert.ok((await etcd.maintenance.hash({ endpoint })).hash > 0)
    const future = etcd.maintenance.hashKv({ endpoint, revision: revision + 1000 })
    await assert.rejects(future, { code: 'FUTURE_REVISION' })
  })

  test('moves the leader, trying the members in turn until one leads', async () => {
    for (let round = 0; round < 3; round++) {
      const leader = await cluster.leader()
      const { memberId } = memberAt(cluster, (leader + 1) % 3)
      await etcd.maintenance.moveLeader(memberId)
      assert.equal(await cluster.leader(), (leader + 1) % 3)
      await etcd.maintenance.moveLeader(memberId)
    }
    await assert.rejects(etcd.maintenance.moveLeader('abc'), { code: 'BAD_LEADER_TRANSFEREE', effect: 'none' })
    const follower = memberAt(cluster, ((await cluster.leader()) + 1) % 3)
    await using blind = new Etcd({ endpoints: [follower.endpoint] })
    const moving = blind.maintenance.moveLeader(follower.memberId, { timeoutMs: 300 })
    await assert.rejects(moving, ({ code }) => ['NOT_LEADER', 'DEADLINE_EXCEEDED'].includes(code))
    // The client has heard of the last election before the next test writes.
    await etcd.put('after', 'moves')
  })

  test('defragments the requested member only', async () => {
    await fill(etcd.namespace('defrag/'), 300, 'x'.repeat(10_000))
    await etcd.deleteRange({ prefix: 'defrag/' })
    const { revision } = await etcd.put('after', 'defrag')
    await etcd.compact(revision, { physical: true })
    const endpoint = cluster.endpoints[1] ?? ''
    const before = await etcd.maintenance.status({ endpoint })
    await etcd.maintenance.defragment({ endpoint })
    assert.ok((await etcd.maintenance.status({ endpoint })).dbSizeBytes < before.dbSizeBytes / 2)
    assert.deepEqual(await Promise.all(cluster.members.map((member) => served(member, 'Defragment'))), [0, 1, 0])
  })

  test('raises, lists and disarms alarms', async () => {
    const { alarms } = etcd.maintenance
    assert.deepEqual(await alarms.list(), [])
    const [one, two] = cluster.members.map(({ memberId }) => ({ memberId, type: 'NOSPACE' }) as const)
    if (one === undefined || two === undefined) assert.fail()
    assert.deepEqual(await alarms.activate(one), [one])
    await assert.rejects(etcd.put('full', 'x'), { code: 'NO_SPACE' })
    await alarms.activate(two)
    assert.equal((await alarms.list()).length, 2)
    assert.deepEqual(await alarms.disarm(one), [one])
    assert.deepEqual(await alarms.disarm(one), [])
    assert.deepEqual(await alarms.list(), [two])
    assert.deepEqual(await alarms.disarmAll(), [two])
    assert.deepEqual(await alarms.disarmAll(), [])
    await etcd.put('full', 'no longer')
  })

  test('prepares a downgrade by one minor release, from etcd 3.6 on', async () => {
    const { downgrade } = etcd.maintenance
    if (cluster.version.startsWith('3.4.')) {
      await assert.rejects(downgrade.validate('3.3'), { code: 'UNIMPLEMENTED', effect: 'none' })
      return
    }
    const [, minor = '0'] = cluster.version.split('.')
    await assert.rejects(downgrade.validate('3.0'), { code: 'INVALID_DOWNGRADE_TARGET', effect: 'none' })
    const target = `3.${Number(minor) - 1}`
    assert.match((await downgrade.validate(target)).clusterVersion, new RegExp(`^3\\.${minor}`))
    if (Number(minor) < 6) {
      await assert.rejects(downgrade.cancel(), { code: 'NO_INFLIGHT_DOWNGRADE', effect: 'none' })
      return
    }
    await downgrade.enable(target)
    await assert.rejects(downgrade.enable(target), { code: 'DOWNGRADE_IN_PROCESS', effect: 'none' })
    const endpoint = cluster.endpoints[0] ?? ''
    await poll('the member reports the downgrade', async () => {
      const { downgradeTarget } = await etcd.maintenance.status({ endpoint })
      return downgradeTarget?.startsWith(target) === true || undefined
    })
    await downgrade.cancel()
  })

  test('takes a snapshot from the requested member', async () => {
    const index = ((await cluster.leader()) + 1) % 3
    const taken = await Promise.all(cluster.members.map((member) => served(member, 'Snapshot')))
    let bytes = 0
    for await (const piece of etcd.maintenance.snapshot({ endpoint: cluster.endpoints[index] })) bytes += piece.length
    assert.equal(bytes % 512, 32)
    const expected = taken.map((count, at) => (at === index ? count + 1 : count))
    assert.deepEqual(await Promise.all(cluster.members.map((member) => served(member, 'Snapshot'))), expected)
    const elsewhere = etcd.maintenance.saveSnapshot('/nowhere', { endpoint: 'http://127.0.0.1:1' })
    await assert.rejects(elsewhere, /`endpoint` must be one of the client's/)
  })

  test('rejects invalid arguments before anything is sent', async () => {
    const maintenance = untyped(etcd.maintenance)
    const wrong: [Promise<unknown> | undefined, RegExp][] = [
      [maintenance.status?.(), /maintenance.status\(\) requires \{ endpoint \}, the member to call/],
      [maintenance.status?.({}), /`endpoint` must be one of the client's, got undefined/],
      [maintenance.defragment?.(cluster.endpoints[0]), /options of maintenance.defragment\(\) must be an object/],
      [maintenance.defragment?.({ endpoint: cluster.endpoints.join() }), /`endpoint` must be one of the client's/],
      [maintenance.hashKvs?.({ revision: -1 }), /`revision` must be a whole number of at least 0, got -1/],
      [maintenance.moveLeader?.(5), /`memberId` must be 1 to 16 hexadecimal digits, got 5/],
      [untyped(etcd.maintenance.alarms).disarm?.({ memberId: '1', type: 'NONE' }), /`type` must be 'NOSPACE' or/],
      [untyped(etcd.maintenance.downgrade).enable?.('latest'), /`version` must be a release such as '3.6'/],
    ]
    for (const [call, message] of wrong) await assert.rejects(call ?? assert.fail(), message)
    assert.throws(
      () => etcd.maintenance.snapshot({ onProgress: untyped(1) as never }),
      /`onProgress` must be a function/,
    )
  })
})
