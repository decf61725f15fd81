import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, type TestContext, test } from 'node:test'
import { deleteKey, Etcd, EtcdError, type Keyspace, put } from '../../src/index.js'
import { Mirror } from '../../src/mirror/mirror.js'
import type { MirrorSource } from '../../src/mirror/mirror-options.js'
import { findEtcd } from '../../src/testing/etcd-binary.js'
import { EtcdCluster } from '../../src/testing/index.js'
import { poll } from '../../src/testing/poll.js'
import { hasReliableProgress } from '../../src/watch/progress-support.js'
import { memberAt, proxyAt, served } from '../support/cluster-view.js'
import { collect, createClient, fill, uniquePrefix, untyped } from '../support/fixtures.js'

/** Keys without the prefix, and values, of all keys with a prefix. */
async function contents(kv: Keyspace, prefix: string): Promise<[string, string][]> {
  const kvs = await collect(kv.list({ prefix }))
  return kvs.map(({ key, value }) => [key.subarray(prefix.length).toString('latin1'), value.toString('latin1')])
}

describe('A mirror', () => {
  let clusters: readonly [EtcdCluster, EtcdCluster]
  let source: Etcd
  let destination: Etcd

  before(async () => {
    clusters = await Promise.all([EtcdCluster.start(), EtcdCluster.start({ proxy: true })])
    source = new Etcd({ endpoints: clusters[0].endpoints })
    destination = new Etcd({ endpoints: clusters[1].endpoints })
  })
  after(async () => {
    await Promise.all([source?.close(), destination?.close()])
    await Promise.all(clusters.map((cluster) => cluster.stop()))
  })

  /** A mirror of a prefix to one of the same name, and its events. */
  function mirrorOf(
    t: TestContext,
    prefix: string,
    options?: Parameters<Keyspace['mirror']>[2],
    client: Etcd = destination,
  ): { mirror: Mirror; emitted: string[] } {
    const mirror = source.mirror(prefix, client, options)
    const emitted: string[] = []
    for (const event of ['synced', 'resync', 'failed'] as const) mirror.on(event, () => emitted.push(event))
    t.after(() => mirror.close())
    return { mirror, emitted }
  }

  async function assertSame(prefix: string, destinationPrefix = prefix): Promise<void> {
    assert.deepEqual(await contents(destination, destinationPrefix), await contents(source, prefix))
  }

  test('produces the same keys and values as etcdctl make-mirror', async (t) => {
    const prefix = uniquePrefix()
    await fill(source.namespace(prefix), 700)
    await source.put(Buffer.from(`${prefix}\xff\x00\x80`, 'latin1'), Buffer.from([0, 255, 128]))
    const { etcdctl = '' } = await findEtcd()
    const [from = '', to = ''] = [clusters[0].endpoints[0], clusters[1].members[0]?.clientUrl]
    const args = ['--endpoints', from, 'make-mirror', '--prefix', prefix, '--dest-prefix', 'theirs/', new URL(to).host]
    const theirs = spawn(etcdctl, args, { env: { ...process.env, ETCDCTL_API: '3' }, stdio: 'ignore' })
    t.after(() => theirs.kill('SIGKILL'))
    const { mirror } = mirrorOf(t, prefix, { destinationPrefix: 'ours/' })
    await Promise.all([
      mirror.synced(),
      poll('etcdctl is there', async () => (await destination.count({ prefix: 'theirs/' })) > 700 || undefined),
    ])
    const ns = source.namespace(prefix)
    for (let round = 0; round < 20; round++) {
      const names = Array.from({ length: 100 }, (_, index) => `round/${index % 50}/${round % 3}/${index}`)
      await ns
        .txn()
        .then(...names.map((name) => put(name, `${round}`)))
        .commit()
      await ns
        .txn()
        .then(deleteKey(names[round] ?? ''), put('round/last', `${round}`))
        .commit()
    }
    await ns.deleteRange({ prefix: '0000' })
    const { revision } = await ns.put('done', 'yes')
    assert.equal(await mirror.synced(revision), revision)
    await poll('etcdctl has all', () => destination.get('theirs/done'))
    await assertSame(prefix, 'ours/')
    assert.deepEqual(await contents(destination, 'ours/'), await contents(destination, 'theirs/'))
  })

  test('that is started again resumes where the last one ended', async (t) => {
    const prefix = uniquePrefix()
    const ns = source.namespace(prefix)
    const names = await fill(ns, 300)
    let txns = 0
    const counting = {
      list: destination.list.bind(destination),
      get: destination.get.bind(destination),
      txn: () => {
        txns += 1
        if (txns === 9) void first.close()
        return destination.txn()
      },
    }
    const first = source.mirror(prefix, counting, { maxTxnOps: 10 })
    await assert.rejects(first.synced(), { code: 'CLOSED' })
    await first.close()
    assert.equal(first.state.kind, 'closed')
    // Nine keys with each, and maybe those that were under way.
    assert.ok([72, 81].includes(await destination.count({ prefix })))
    // What had been copied already and is gone before the second one begins.
    await ns.delete(names[0] ?? '')
    const { revision } = await ns.put('new', 'value')
    const second = mirrorOf(t, prefix)
    await second.mirror.synced(revision)
    await assertSame(prefix)
    await second.mirror.close()
    await ns.delete('new')
    const third = mirrorOf(t, prefix)
    await third.mirror.synced((await ns.put('newer', 'value')).revision)
    await assertSame(prefix)
    assert.deepEqual([second.emitted, third.emitted], [['synced'], []])
    const versions = await collect(destination.list({ prefix }))
    assert.ok(
      versions.every(({ version }) => version === 1),
      'nothing was copied twice',
    )
  })

  test("fails when the source's history was compacted, or compares both sides again", async (t) => {
    const prefix = uniquePrefix()
    const ns = source.namespace(prefix)
    await fill(ns, 30)
    const first = mirrorOf(t, prefix)
    await first.mirror.synced()
    await first.mirror.close()
    await ns.deleteRange({ from: '000010' })
    const { revision } = await ns.put('000005', 'changed')
    await source.compact(revision)
    const second = mirrorOf(t, prefix)
    await assert.rejects(second.mirror.synced(revision), { code: 'COMPACTED' })
    assert.deepEqual([second.emitted, second.mirror.state.kind], [['failed'], 'failed'])
    const third = mirrorOf(t, prefix, { onCompacted: 'resync' })
    await third.mirror.synced(revision)
    assert.deepEqual(third.emitted, ['resync', 'synced'])
    await assertSame(prefix)
    assert.equal((await destination.get(`${prefix}000005`))?.version, 2)
    assert.equal((await destination.get(`${prefix}000004`))?.version, 1)
  })

  test('that is started again fails when the source was restored from a backup, or compares both sides again', async (t) => {
    const prefix = uniquePrefix()
    await fill(source.namespace(prefix), 30)
    await destination.put(`${prefix}lost`, 'value')
    const { revision } = await source.range({ prefix }, { limit: 1 })
    const record = { source: Buffer.from(prefix).toString('base64'), phase: 'following', revision: revision + 1000 }
    await destination.put(`etcdkit-mirror/${prefix}`, JSON.stringify(record))
    const first = mirrorOf(t, prefix)
    await assert.rejects(first.mirror.synced(), { code: 'REVISION_REWOUND' })
    assert.deepEqual([first.emitted, first.mirror.state.kind], [['failed'], 'failed'])
    const second = mirrorOf(t, prefix, { onCompacted: 'resync' })
    assert.ok((await second.mirror.synced()) < record.revision)
    assert.deepEqual(second.emitted, ['resync', 'synced'])
    await second.mirror.synced((await source.put(`${prefix}new`, 'value')).revision)
    await assertSame(prefix)
  })

  test('that is started again fails when the source is another cluster, or compares both sides again', async () => {
    const prefix = uniquePrefix()
    const copies = source.namespace('copies/')
    await fill(destination.namespace(prefix), 10)
    const first = destination.mirror(prefix, copies)
    await first.synced()
    await first.close()
    // The other cluster's revisions are higher.
    const { revision } = await destination.range('last')
    while ((await source.put(`${prefix}other`, 'value')).revision <= revision);
    const second = source.mirror(prefix, copies)
    await assert.rejects(second.synced(), { code: 'CLUSTER_CHANGED' })
    await second.close()
    await using third = source.mirror(prefix, copies, { onCompacted: 'resync' })
    await third.synced()
    assert.deepEqual(await contents(copies, prefix), [['other', 'value']])
    await third.close()
    await using fourth = source.mirror(prefix, copies)
    await fourth.synced((await source.put(`${prefix}new`, 'value')).revision)
    assert.equal(await copies.count({ prefix }), 2)
  })

  test('is not synced by its old progress when the source was restored while it ran', async (t) => {
    const prefix = uniquePrefix()
    let now = 51
    let restore = (_error: Error): void => {}
    const changing: MirrorSource = {
      list: async function* () {},
      range: async () => ({ revision: now }),
      watch: () => {
        const over = new Promise<never>((_, reject) => (restore = reject))
        const batches = async function* () {
          yield await over
        }
        return { batches, requestProgress: () => {}, close: async () => {} }
      },
    }
    const mirror = new Mirror({ source: changing, destination }, Buffer.from(prefix), { onCompacted: 'resync' })
    t.after(async () => {
      restore(new Error('over'))
      await mirror.close()
    })
    assert.equal(await mirror.synced(), 51)
    const reached = new Promise((resolve) => mirror.on('resync', () => resolve(mirror.synced())))
    now = 7
    restore(new EtcdError('for a test', { code: 'REVISION_REWOUND', effect: 'none' }))
    assert.equal(await reached, 7)
  })

  test('does not mistake a stale answer for a restored cluster', async (t) => {
    const prefix = uniquePrefix()
    const { revision } = await source.put(`${prefix}key`, 'value')
    const first = mirrorOf(t, prefix)
    await first.mirror.synced()
    await first.mirror.close()
    let reads = 0
    const lagging: MirrorSource = {
      list: source.list.bind(source),
      range: async (...args) => {
        reads += 1
        return reads === 1 ? { revision: 1, stale: true } : source.range(...args)
      },
      watch: source.watch.bind(source),
    }
    const mirror = new Mirror({ source: lagging, destination }, Buffer.from(prefix), {})
    t.after(() => mirror.close())
    assert.ok((await mirror.synced()) >= revision)
    assert.equal(reads, 2)
  })

  test('ends when another mirror writes to the same destination: one is left', async (t) => {
    const prefix = uniquePrefix()
    const mirrors = [1, 2, 3].map(() => mirrorOf(t, prefix).mirror)
    await Promise.allSettled(mirrors.map((mirror) => mirror.synced()))
    const { revision } = await source.put(`${prefix}key`, 'value')
    const came = await Promise.allSettled(mirrors.map((mirror) => mirror.synced(revision)))
    assert.deepEqual(came.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected'])
    for (const result of came) if (result.status === 'rejected') assert.equal(result.reason.code, 'MIRROR_CONFLICT')
    assert.deepEqual(mirrors.map(({ state }) => state.kind).sort(), ['failed', 'failed', 'watching'])
    assert.equal((await destination.get(`${prefix}key`))?.version, 1)
  })

  test('writes each change once, whichever answers are lost', async (t) => {
    const prefix = uniquePrefix()
    const client = createClient(t, clusters[1])
    const { mirror } = mirrorOf(t, prefix, { maxTxnOps: 4 }, client)
    await mirror.synced()
    const retried: unknown[] = []
    mirror.on('retrying', ({ error }) => retried.push(error))
    const [proxy, member] = [proxyAt(clusters[1], 0), memberAt(clusters[1], 0)]
    for (let round = 1; round <= 5; round++) {
      const handled = await served(member, 'Txn')
      proxy.onData((_, { direction }) => (direction === 'down' ? 'drop' : undefined))
      // Two transactions at the destination.
      const changes = [0, 1, 2, 3, 4].map((index) => put(`${prefix}${index}`, `${round}`))
      const { revision } = await source
        .txn()
        .then(...changes)
        .commit()
      await poll('the answer is lost', async () => (await served(member, 'Txn')) > handled || undefined)
      proxy.onData(undefined)
      proxy.cut()
      await mirror.synced(revision)
    }
    proxy.heal()
    await assertSame(prefix)
    assert.ok(retried.length >= 5)
    for (const { version } of await collect(destination.list({ prefix }))) assert.equal(version, 5)
  })

  test('of an idle prefix reaches revisions of other keys', async (t) => {
    const version = clusters[0].version
    if (!hasReliableProgress(version)) {
      t.skip(`the progress of ${version} is not trusted`)
      return
    }
    const { mirror } = mirrorOf(t, uniquePrefix())
    const { revision } = await source.put('elsewhere', 'value')
    assert.ok((await mirror.synced(revision)) >= revision)
  })

  test('rejects invalid arguments', async (t) => {
    const mirror =
      (...args: unknown[]) =>
      () =>
        untyped(source).mirror?.(...args)
    assert.throws(mirror('a/', undefined), /`destination` must be a client or a namespace, got undefined/)
    assert.throws(mirror('a/', destination, { maxTxnOps: 1 }), /`maxTxnOps` must be at least 2, got 1/)
    assert.throws(mirror('a/', destination, { destPrefix: '' }), /unknown option `destPrefix` of mirror\(\)/)
    assert.throws(mirror('a/', source, { destinationPrefix: 'a/b/' }), /`destinationPrefix` must not overlap/)
    const prefix = uniquePrefix()
    await destination.put(`etcdkit-mirror/${prefix}`, 'mine')
    const wrong = mirrorOf(t, prefix)
    await assert.rejects(wrong.mirror.synced(), { code: 'DECODE_FAILED' })
  })
})
