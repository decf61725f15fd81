import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { before, beforeEach, describe, type TestContext, test } from 'node:test'
import { type ClientOptions, type ConnectionEvents, type Etcd, isEtcdError } from '../../src/index.js'
import { type EtcdMember, poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, received, storedKey } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { Load } from '../support/load.js'

const members = [0, 1, 2]

describe('A cluster restored from a backup, with the same addresses and cluster ID', () => {
  const cluster = useCluster({ members: 3 })

  before(async () => {
    await cluster.call('/v3/kv/put', { key: base64('kept'), value: base64('from the backup') })
    await Promise.all(members.map((index) => cluster.kill(index)))
    for (const member of cluster.members) cpSync(member.dataDir, backupOf(member), { recursive: true })
    await startAll()
  })
  beforeEach(() => cluster.healthy())

  async function startAll(): Promise<void> {
    await Promise.all(members.map((index) => cluster.restart(index)))
    await cluster.healthy()
  }

  async function restore(): Promise<void> {
    await Promise.all(members.map((index) => cluster.kill(index)))
    for (const member of cluster.members) {
      rmSync(member.dataDir, { recursive: true })
      cpSync(backupOf(member), member.dataDir, { recursive: true })
    }
    await startAll()
  }

  /** A client that has seen a revision which the backup has not. */
  async function clientAhead(t: TestContext, options: ClientOptions = {}) {
    const etcd = createClient(t, cluster, options)
    const rewound: ConnectionEvents['revisionRewound'][] = []
    const changed: unknown[] = []
    etcd.on('revisionRewound', (event) => rewound.push(event))
    etcd.on('clusterChanged', (event) => changed.push(event))
    let seen = 0
    for (let count = 0; count < 50; count += 1) seen = (await etcd.put('lost', String(count))).revision
    return { etcd, rewound, changed, seen }
  }

  async function allReady(etcd: Etcd): Promise<void> {
    await poll('the client is connected', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
  }

  test("fails the first read and emits one event; later calls see the backup's content", async (t) => {
    const { etcd, rewound, changed, seen } = await clientAhead(t)
    await restore()
    await allReady(etcd)
    await assert.rejects(etcd.get('lost'), { code: 'REVISION_REWOUND', effect: 'none', retryable: false })
    const { revision, kvs } = await etcd.range('kept')
    assert.equal(kvs[0]?.valueText, 'from the backup')
    assert.equal(await etcd.get('lost'), undefined)
    await etcd.put('after', 'value')
    assert.equal((await etcd.get('after', { mode: 'serializable' }))?.valueText, 'value')
    const endpoint = rewound[0]?.endpoint
    assert.ok(cluster.endpoints.includes(String(endpoint)))
    assert.deepEqual([rewound, changed], [[{ endpoint, seen, actual: revision }], []])
  })

  test('leaves the first write with an unknown effect, sent once', async (t) => {
    const { etcd, rewound } = await clientAhead(t)
    await restore()
    await allReady(etcd)
    const puts = async () => (await Promise.all(cluster.members.map((member) => received(member, 'Put')))).reduce(sum)
    const before = await puts()
    await assert.rejects(etcd.put('first', 'value'), { code: 'REVISION_REWOUND', effect: 'unknown', attempts: 1 })
    assert.equal((await puts()) - before, 1)
    assert.equal((await storedKey(cluster, 'first'))?.version, 1)
    await etcd.put('first', 'again')
    assert.equal(rewound.length, 1)
  })

  test('fails every linearizable call sent before it was detected', async (t) => {
    const { etcd, rewound } = await clientAhead(t)
    await restore()
    await allReady(etcd)
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => etcd.get('kept')))
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'silence'))
    assert.deepEqual([...new Set(codes)], ['REVISION_REWOUND'])
    assert.equal(rewound.length, 1)
    await Promise.all(Array.from({ length: 20 }, () => etcd.get('kept')))
  })

  test('is detected by a client that only makes serializable reads', async (t) => {
    const { etcd, rewound } = await clientAhead(t, { reads: { default: 'serializable' } })
    await restore()
    await allReady(etcd)
    await assert.rejects(etcd.get('kept'), { code: 'REVISION_REWOUND' })
    assert.equal((await etcd.get('kept'))?.valueText, 'from the backup')
    assert.equal(rewound.length, 1)
  })

  test('interrupts traffic with typed errors, after which all calls succeed', async (t) => {
    const { etcd, rewound } = await clientAhead(t)
    await using load = new Load(() => etcd.get('kept', { timeoutMs: 3000 }))
    await restore()
    await poll('it is noticed', () => rewound[0])
    const failed = load.failures.length
    const wanted = load.successes + 200
    await poll('reads go on', () => load.successes > wanted || undefined)
    await load.stop()
    const errors = load.failures.map(({ error }) => error)
    assert.ok(errors.every((error) => isEtcdError(error)))
    assert.ok(errors.some((error) => isEtcdError(error, 'REVISION_REWOUND')))
    // Calls that were under way when the first one failed.
    assert.ok(errors.length - failed <= 8, `${errors.length - failed} reads failed after it was noticed`)
    assert.equal(rewound.length, 1)
  })

  test('does not hide later elections, although raft terms start again', async (t) => {
    for (let count = 0; count < 3; count += 1) await moveLeader()
    const { etcd } = await clientAhead(t)
    await restore()
    await allReady(etcd)
    await assert.rejects(etcd.get('kept'), { code: 'REVISION_REWOUND' })
    // What the members said of their leader when they were probed is settled.
    await Promise.all(members.map(() => etcd.get('kept')))
    const leaders: string[] = []
    etcd.on('leaderChanged', ({ memberId }) => leaders.push(memberId))
    const moved = await moveLeader()
    await poll('the client has learned it', async () => {
      await etcd.get('kept')
      return leaders.at(-1) === moved.memberId || undefined
    })
  })

  test('is not mistaken for a member that lags', async (t) => {
    const leader = await cluster.leader()
    const [other, behind] = [(leader + 1) % 3, (leader + 2) % 3]
    const { etcd, rewound } = await clientAhead(t)
    const writer = createClient(t, { endpoints: [leader, other].map((index) => memberAt(cluster, index).endpoint) })
    await cluster.pause(behind)
    // More than the kernels hold on the way to the member: it will not find the last write there.
    await Promise.all(Array.from({ length: 40 }, () => writer.put('large', Buffer.alloc(1_400_000))))
    const { revision } = await writer.put('unseen', 'value')
    while ((await etcd.get('unseen'))?.valueText !== 'value');
    await Promise.all([cluster.pause(leader), cluster.pause(other)])
    await cluster.resume(behind)
    const stale = await poll('the member has answered', () =>
      etcd.range('unseen', { fallback: 'serializable', timeoutMs: 1500 }),
    )
    assert.deepEqual([stale.endpoint, stale.stale], [memberAt(cluster, behind).endpoint, true])
    assert.ok(stale.revision < revision, 'the member has caught up too early')
    const isNoRewind = (error: unknown) => isEtcdError(error) && error.code !== 'REVISION_REWOUND'
    for (const mode of ['serializable', 'linearizable'] as const) {
      await assert.rejects(etcd.get('unseen', { mode, timeoutMs: 500 }), isNoRewind)
    }
    await Promise.all([cluster.resume(leader), cluster.resume(other)])
    await cluster.healthy()
    assert.equal((await etcd.get('unseen'))?.valueText, 'value')
    assert.deepEqual(rewound, [])
  })

  async function moveLeader(): Promise<EtcdMember> {
    const leader = await cluster.leader()
    const next = memberAt(cluster, (leader + 1) % 3)
    await memberAt(cluster, leader).call('/v3/maintenance/transfer-leadership', {
      targetID: BigInt(`0x${next.memberId}`).toString(),
    })
    await poll('the leadership has moved', async () => (await cluster.leader()) === (leader + 1) % 3 || undefined)
    return next
  }
})

function backupOf({ dataDir }: EtcdMember): string {
  return `${dataDir}-backup`
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function sum(total: number, count: number): number {
  return total + count
}
