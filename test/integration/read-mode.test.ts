import assert from 'node:assert/strict'
import { afterEach, describe, type TestContext, test } from 'node:test'
import { type Etcd, get, isEtcdError, type ReadPolicy } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, proxyAt } from '../support/cluster-view.js'
import { attemptRecords, collect, createClient, fill, uniquePrefix } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const serializable = { mode: 'serializable' } as const

describe('The read mode', () => {
  const cluster = useCluster({ members: 3, proxy: true })

  afterEach(() => resumeAll())

  /** The leader first. */
  async function membersByRank(): Promise<[number, number, number]> {
    const leader = await cluster.leader()
    return [leader, (leader + 1) % 3, (leader + 2) % 3]
  }

  async function pause(...members: readonly number[]): Promise<void> {
    await Promise.all(members.map((member) => cluster.pause(member)))
  }

  async function resumeAll(): Promise<void> {
    const paused = [0, 1, 2].filter((member) => memberAt(cluster, member).state === 'paused')
    await Promise.all(paused.map((member) => cluster.resume(member)))
    if (paused.length > 0) await cluster.healthy()
  }

  function clientOf(t: TestContext, ...members: readonly number[]): Etcd {
    return createClient(t, { endpoints: members.map((member) => memberAt(cluster, member).endpoint) })
  }

  test('is set by the call, else by the longest rule that covers the whole read, else by the default', async (t) => {
    const rules = [
      { prefix: 'a', mode: 'linearizable' },
      { prefix: 'a/b/', ...serializable },
      { prefix: 'a/b/c/', mode: 'linearizable' },
      { prefix: 'prefer/', prefer: 'leader' },
    ] as const
    const etcd = createClient(t, cluster, { reads: { default: 'serializable', rules } })
    const cases: [Parameters<Etcd['range']>[0], ReadPolicy, string][] = [
      ['z', {}, 'serializable'],
      ['z', { mode: 'linearizable' }, 'linearizable'],
      ['a', {}, 'linearizable'],
      ['a/b/x', {}, 'serializable'],
      ['a/b/c/x', {}, 'linearizable'],
      ['a/b/c/x', serializable, 'serializable'],
      [{ prefix: 'a/b/' }, {}, 'serializable'],
      [{ prefix: 'a/b' }, {}, 'linearizable'],
      [{ from: 'a/b/', to: 'a/b0' }, {}, 'serializable'],
      [{ from: 'a/b/', to: 'a/b1' }, {}, 'linearizable'],
      [{ from: 'a/b/' }, {}, 'serializable'],
      ['prefer/x', {}, 'serializable'],
    ]
    for (const [range, policy, expected] of cases) {
      const { mode, stale } = await etcd.range(range, policy)
      assert.deepEqual([mode, stale], [expected, false], JSON.stringify({ range, policy }))
    }
    const namespaced = etcd.namespace('a/b/')
    assert.equal((await namespaced.range('c/x')).mode, 'linearizable', 'rules are for whole keys')
    assert.equal((await createClient(t, cluster).range('z')).mode, 'linearizable', 'without a policy')
  })

  test('prefer chooses the leader or the nearest member, or any member if there is none', async (t) => {
    const [leader, near, far] = await membersByRank()
    for (const member of [leader, far]) proxyAt(cluster, member).delay(150)
    t.after(() => {
      for (const member of [leader, far]) proxyAt(cluster, member).heal()
    })
    const rules = [{ prefix: 'near/', prefer: 'nearest' }] as const
    const etcd = createClient(t, cluster, { reads: { rules }, batching: { reads: false } })
    await poll('the members are known', async () => {
      await etcd.get('k')
      const known = etcd.endpoints()
      const leads = known.find(({ role }) => role === 'leader')?.endpoint === memberAt(cluster, leader).endpoint
      return (leads && known.every(({ state }) => state === 'ready')) || undefined
    })
    const answeredBy = async (key: string, policy: ReadPolicy): Promise<string[]> => {
      const reads = await Promise.all(Array.from({ length: 12 }, () => etcd.range(key, policy)))
      return [...new Set(reads.map(({ endpoint }) => endpoint))].sort()
    }
    const urls = (...members: number[]) => members.map((member) => memberAt(cluster, member).endpoint).sort()
    for (const mode of ['linearizable', 'serializable'] as const) {
      assert.deepEqual(await answeredBy('k', { mode, prefer: 'leader' }), urls(leader))
      assert.deepEqual(await answeredBy('k', { mode, prefer: 'nearest' }), urls(near))
      assert.deepEqual(await answeredBy('near/k', { mode }), urls(near))
      assert.deepEqual(await answeredBy('k', { mode, prefer: 'learner' }), urls(leader, near, far))
      assert.deepEqual(await answeredBy('k', { mode }), urls(leader, near, far))
    }
  })

  test("serializable includes a client's own writes immediately, whichever member answers", async (t) => {
    const etcd = createClient(t, cluster)
    const answered = new Set<string>()
    for (let count = 0; count < 150; count += 1) {
      const { revision } = await etcd.put('own', String(count))
      const read = await etcd.range('own', serializable)
      assert.deepEqual([read.kvs[0]?.valueText, read.kvs[0]?.modRevision], [String(count), revision])
      answered.add(read.endpoint)
    }
    assert.equal(answered.size, 3)
  })

  test('serializable needs no quorum; linearizable reads and transactions do', async (t) => {
    const [alive, ...others] = await membersByRank()
    const etcd = clientOf(t, alive)
    const kv = etcd.namespace(uniquePrefix())
    await fill(kv, 700)
    await pause(...others)
    const read = await kv.range('000001', serializable)
    assert.deepEqual([read.kvs[0]?.valueText, read.mode, read.stale], ['value', 'serializable', false])
    assert.equal((await kv.get('000001', serializable))?.valueText, 'value')
    assert.equal(await kv.exists('000001', serializable), true)
    assert.equal(await kv.count({ prefix: '' }, serializable), 700)
    assert.equal((await collect(kv.list({ prefix: '' }, serializable))).length, 700)
    const unanswered = [kv.get('000001', { timeoutMs: 600 }), kv.txn().then(get('000001')).commit({ timeoutMs: 600 })]
    for (const result of await Promise.allSettled(unanswered)) {
      assert.ok(result.status === 'rejected' && isEtcdError(result.reason), 'a linearizable read was answered')
    }
  })

  test('with fallback answers without a leader, marked stale, after a third of its time', async (t) => {
    const [alive, ...others] = await membersByRank()
    const rules = [{ prefix: 'flags/', fallback: 'serializable' }] as const
    const etcd = createClient(t, { endpoints: [memberAt(cluster, alive).endpoint] }, { reads: { rules } })
    await etcd.put('flags/beta', 'on')
    const fresh = await etcd.range('flags/beta')
    assert.deepEqual([fresh.mode, fresh.stale], ['linearizable', false])
    await pause(...others)
    const startedAt = performance.now()
    const { kvs, mode, stale } = await etcd.range('flags/beta', { timeoutMs: 1200 })
    const tookMs = performance.now() - startedAt
    assert.deepEqual([kvs[0]?.valueText, mode, stale], ['on', 'serializable', true])
    assert.ok(tookMs < within(800), `it took ${tookMs} ms`)
    await assert.rejects(etcd.range('other', { timeoutMs: 600 }), isEtcdError)
    const own = await etcd.range('other', { timeoutMs: 600, fallback: 'serializable' })
    assert.equal(own.stale, true)
  })

  test('serializable leaves a lagging member for another one', async (t) => {
    const [leader, upToDate, behind] = await membersByRank()
    const endpointBehind = memberAt(cluster, behind).endpoint
    const witness = clientOf(t, behind)
    const etcd = clientOf(t, upToDate, behind)
    const newcomer = clientOf(t, upToDate, behind)
    const watching = clientOf(t, upToDate, behind)
    await etcd.put('moving', 'old')
    await Promise.all([witness.get('moving'), etcd.connect(), newcomer.connect()])
    await pause(behind)
    await using watcher = watching.watch('moving')
    await watcher.ready()
    const { revision } = await putUnseen(clientOf(t, leader, upToDate), 'moving')
    for await (const { valueText } of watcher) if (valueText === 'new') break
    const upToDateOnly = clientOf(t, upToDate)
    while ((await upToDateOnly.get('moving', serializable))?.valueText !== 'new');
    // Until the two others have elected a leader, the one that was paused learns nothing new.
    await pause(leader)
    await resumeOnly(behind, witness)
    const records = attemptRecords(t)
    assert.equal((await witness.get('moving', serializable))?.valueText, 'old')
    while ((await etcd.range('moving', serializable)).revision < revision);
    for (let count = 0; count < 20; count += 1) {
      assert.equal((await etcd.get('moving', serializable))?.valueText, 'new')
      assert.equal((await newcomer.get('moving', { ...serializable, revision }))?.valueText, 'new')
      assert.equal(
        (await watching.get('moving', serializable))?.valueText,
        'new',
        'older than what its watch has shown',
      )
    }
    assert.equal((await witness.get('moving', serializable))?.valueText, 'old', 'the member has caught up too early')
    const asked = records.filter(({ endpoint }) => endpoint === endpointBehind).length
    assert.ok(asked > 10, `the member that is behind was asked ${asked} times`)
    await resumeAll()
  })

  test('serializable never goes back in time: the read fails when all members lag', async (t) => {
    const [leader, other, behind] = await membersByRank()
    const etcd = createClient(t, cluster)
    const witness = clientOf(t, behind)
    await etcd.put('floor', 'old')
    await witness.get('floor')
    await pause(behind)
    await putUnseen(clientOf(t, leader, other), 'floor')
    assert.equal((await etcd.get('floor'))?.valueText, 'new')
    await pause(leader, other)
    await resumeOnly(behind, witness)
    assert.equal((await witness.get('floor', serializable))?.valueText, 'old')
    for (const policy of [serializable, {}]) {
      await assert.rejects(etcd.get('floor', { ...policy, timeoutMs: 1000 }), isEtcdError)
    }
    assert.equal((await witness.get('floor', serializable))?.valueText, 'old', 'the member has caught up too early')
    const stale = await etcd.range('floor', { fallback: 'serializable', timeoutMs: within(1500) })
    assert.deepEqual([stale.kvs[0]?.valueText, stale.stale], ['old', true])
    await resumeAll()
    assert.equal((await etcd.get('floor', serializable))?.valueText, 'new')
  })

  /** Writes a key behind more than two kernels hold on the way to a member that is paused: it will not find the key there. */
  async function putUnseen(etcd: Etcd, key: string): Promise<{ readonly revision: number }> {
    const large = Buffer.alloc(1_400_000)
    await Promise.all(Array.from({ length: 40 }, () => etcd.put('large', large)))
    return etcd.put(key, 'new')
  }

  /** Resumes a member and waits until it answers. */
  async function resumeOnly(member: number, witness: Etcd): Promise<void> {
    await cluster.resume(member)
    await witness.get('any', serializable)
  }
})
