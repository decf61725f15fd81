import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { CompactedError, deleteKey, Etcd, put, type WatchBatch, type WatchOptions } from '../../src/index.js'
import { FaultProxy, poll } from '../../src/testing/index.js'
import { useCluster, useDirectClient, useProxy } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { randomFrom } from '../support/random.js'
import { within } from '../support/slack.js'
import { collectTo, type HistoricChange, type WatchRecord, watchViolations } from '../support/watch-history.js'

describe('A watch whose connection is cut', () => {
  // Answers above 576 KiB are split.
  const cluster = useCluster({ proxy: true, flags: { 'max-request-bytes': 65_536 } })
  const proxy = useProxy(cluster)
  /** Past the proxy. */
  const direct = useDirectClient(cluster)

  /** Writes `count` revisions: puts, deletions, and transactions of both. Returns the changes. */
  async function write(prefix: string, revisions: number, random: () => number): Promise<HistoricChange[]> {
    const changes: HistoricChange[] = []
    const state = new Map<string, string>()
    for (let count = 0; count < revisions; count += 1) {
      const names = new Set(Array.from({ length: 1 + Math.floor(random() ** 4 * 8) }, () => Math.floor(random() * 40)))
      const operations = [...names].map((name) => {
        const key = `${prefix}${name}`
        const isDeletion = state.has(key) && random() < 0.3
        return { key, value: isDeletion ? undefined : `${count} `.padEnd(Math.floor(random() * 1600), 'x') }
      })
      const made = operations.map(({ key, value }) => (value === undefined ? deleteKey(key) : put(key, value)))
      const { revision } = await direct
        .txn()
        .then(...made)
        .commit()
      for (const { key, value } of operations) {
        const type = value === undefined ? 'delete' : 'put'
        changes.push({ revision, key, type, value: value ?? '', before: state.get(key) })
        if (value === undefined) state.delete(key)
        else state.set(key, value)
      }
    }
    return changes
  }

  /** The same from several concurrent writers, each with its own keys. */
  async function writeMany(prefix: string, revisions: number, random: () => number): Promise<HistoricChange[]> {
    const writers = Array.from({ length: 8 }, (_, index) => write(`${prefix}${index}/`, revisions / 8, random))
    return (await Promise.all(writers)).flat().sort((a, b) => a.revision - b.revision)
  }

  test('delivers every event once and in order, cut at 50 random points of a backlog of 5,000 revisions', async (t) => {
    const seed = Date.now() % 100_000
    t.diagnostic(`seed ${seed}`)
    const prefix = uniquePrefix()
    const changes = await writeMany(prefix, 5000, randomFrom(seed))
    const variants: readonly WatchOptions[] = [
      {},
      { only: 'delete' },
      { only: 'put' },
      { prevKv: true },
      { maxBufferedEvents: 50 },
    ]
    // Each variant has its own connection, so that the reconnect delays of 50 cuts overlap.
    const runs = variants.map((variant, index) => followOverCuts(t, prefix, changes, variant, randomFrom(seed + index)))
    const records = (await Promise.all(runs)).flat()
    t.diagnostic(`${changes.length} events; reconnects: ${records.map(({ reconnects }) => reconnects)}`)
    assert.deepEqual(
      records.flatMap((record) => watchViolations(record, changes)),
      [],
    )
  })

  /** A watch of a variant and a plain one, on a connection that is cut ten times. */
  async function followOverCuts(
    t: TestContext,
    prefix: string,
    changes: readonly HistoricChange[],
    variant: WatchOptions,
    random: () => number,
  ): Promise<(WatchRecord & { readonly reconnects: number })[]> {
    const ownProxy = await FaultProxy.start(memberAt(cluster, 0).clientUrl)
    t.after(() => ownProxy.close())
    const etcd = createClient(t, { endpoints: [`http://${ownProxy.endpoint}`] })
    const from = changes[0]?.revision ?? 0
    const watching = [{}, variant].map(async (options: WatchOptions) => {
      const last = changes.findLast(({ type }) => type === (options.only ?? type))?.revision ?? 0
      const watcher = etcd.watch({ prefix }, { ...options, startRevision: from })
      const batches = await collectTo(watcher.batches(), last)
      return { name: JSON.stringify(options), from, ...options, batches, reconnects: watcher.status.reconnects }
    })
    for (let cuts = 0; cuts < 10; cuts += 1) {
      await ownProxy.cutAfter({ direction: 'down', bytes: Math.floor(random() ** 3 * 2_000_000) })
      if (cuts === 8) ownProxy.cut()
    }
    return Promise.all(watching)
  }

  test('delivers what happened meanwhile, also when it started at the present and had seen no event', async (t) => {
    const prefix = uniquePrefix()
    const etcd = createClient(t, cluster)
    const watcher = etcd.watch({ prefix })
    const revision = await watcher.ready()
    proxy.refuse()
    proxy.cut()
    await poll('the watch has noticed', () => watcher.status.state === 'reconnecting' || undefined)
    const changes = await write(prefix, 50, randomFrom(1))
    proxy.accept()
    const batches = await collectTo(watcher.batches(), changes.at(-1)?.revision ?? 0)
    assert.deepEqual(watchViolations({ name: 'from now on', from: revision + 1, batches }, changes), [])
  })

  test('resumes again when the next connection is cut right after it opened', async (t) => {
    const prefix = uniquePrefix()
    const etcd = createClient(t, cluster)
    const watcher = etcd.watch({ prefix })
    const revision = await watcher.ready()
    const changes: HistoricChange[] = []
    const batches: Promise<WatchBatch[]> = collectTo(watcher.batches(), revision + 60)
    for (let round = 0; round < 6; round += 1) {
      proxy.cut()
      changes.push(...(await write(`${prefix}${round}/`, 10, randomFrom(round))))
      if (round < 5) await proxy.cutAfter({ direction: 'down', bytes: 100 + round * 40 })
    }
    assert.deepEqual(watchViolations({ name: 'cut again', from: revision + 1, batches: await batches }, changes), [])
  })

  test('delivers everything since its start when cut at the first bytes of its answers', async (t) => {
    const prefix = uniquePrefix()
    const changes = await write(prefix, 51, () => 0.2)
    const [from, to] = [changes[0]?.revision ?? 0, changes.at(-1)?.revision ?? 0]
    let reconnects = 0
    for (let bytes = 0; bytes < 2000; bytes += 80) {
      await using etcd = new Etcd({ endpoints: cluster.endpoints })
      await etcd.connect()
      const cut = proxy.cutAfter({ direction: 'down', bytes })
      const watcher = etcd.watch({ prefix }, { startRevision: from })
      const batches = await collectTo(watcher.batches(), to)
      assert.deepEqual(watchViolations({ name: `cut after ${bytes} bytes`, from, batches }, changes), [])
      await cut
      reconnects += watcher.status.reconnects
    }
    t.diagnostic(`${reconnects} of 25 were cut after they were there`)
    assert.ok(reconnects > 0)
  })

  test('can be closed and aborted before it resumes, and leaves nothing', async (t) => {
    const etcd = createClient(t, cluster)
    const controller = new AbortController()
    const [closed, aborted, left] = [
      etcd.watch('a'),
      etcd.watch('b', { signal: controller.signal }),
      etcd.watch('c', { onCompacted: 'resync' }),
    ]
    await Promise.all([closed, aborted, left].map((watcher) => watcher.ready()))
    const next = [closed, aborted, left].map((watcher) => watcher[Symbol.asyncIterator]().next())
    proxy.refuse()
    proxy.cut()
    await poll('it was noticed', () => closed.status.state === 'reconnecting' || undefined)
    await closed.close()
    controller.abort(new Error('enough'))
    assert.deepEqual(await next[0], { value: undefined, done: true })
    await assert.rejects(next[1] ?? Promise.resolve(), /enough/)
    proxy.accept()
    await poll('the one that stays is back', () => left.status.state === 'active' || undefined)
    await direct.put('c', '')
    assert.equal((await next[2])?.value?.keyText, 'c')
    const watchers = (): Promise<number> => cluster.metric('etcd_debugging_mvcc_watcher_total')
    await left.close()
    await poll('no watcher is left', async () => (await watchers()) === 0 || undefined)
  })

  test('detects a silent connection within the keepalive time without any call', async (t) => {
    const etcd = createClient(t, cluster, { keepaliveMs: 5000, keepaliveTimeoutMs: 500 })
    const watcher = etcd.watch('silent')
    await watcher.ready()
    const silent = proxy.accepted
    // What was open loses everything from now on; new connections work.
    proxy.onData((_, { connection }) => (connection <= silent ? 'drop' : undefined))
    const silentAt = performance.now()
    const { revision } = await direct.put('silent', 'missed')
    const { value } = await watcher[Symbol.asyncIterator]().next()
    const noticedMs = performance.now() - silentAt
    proxy.heal()
    t.diagnostic(`noticed after ${Math.round(noticedMs)} ms`)
    assert.equal(value?.revision, revision)
    assert.ok(noticedMs < within(8000), `${noticedMs} ms`)
  })

  test('brings 1,000 watchers back within seconds, although each answer is delayed', async (t) => {
    const prefix = uniquePrefix()
    const etcd = createClient(t, cluster)
    const resumed: number[] = []
    etcd.on('watchResumed', ({ downMs }) => resumed.push(downMs))
    const many = Array.from({ length: 1000 }, (_, index) => etcd.watch(`${prefix}${index}`))
    await Promise.all(many.map((watcher) => watcher.ready()))
    // One after the other they would take a minute.
    proxy.delay(30)
    t.after(() => proxy.heal())
    proxy.cut()
    await poll('it was noticed', () => many[0]?.status.state === 'reconnecting' || undefined)
    const startedAt = performance.now()
    await poll('all are back', () => many.every(({ status }) => status.state === 'active') || undefined)
    t.diagnostic(`back after ${Math.round(performance.now() - startedAt)} ms`)
    assert.ok(performance.now() - startedAt < within(5000))
    assert.equal(resumed.length, 1)
    await direct.put(`${prefix}999`, '')
    const { value } = await (many[999] ?? etcd.watch('key'))[Symbol.asyncIterator]().next()
    assert.equal(value?.keyText, `${prefix}999`)
  })

  test('fails when the revisions it needs were compacted meanwhile; a watch that needs fewer resumes', async (t) => {
    const prefix = uniquePrefix()
    const etcd = createClient(t, cluster)
    const behind = etcd.watch(`${prefix}behind`)
    const resyncing = etcd.watch({ prefix: `${prefix}resync/` }, { onCompacted: 'resync' })
    const future = etcd.watch(`${prefix}behind`, {
      startRevision: (await direct.put(`${prefix}other`, '')).revision + 20,
    })
    await Promise.all([behind, resyncing, future].map((watcher) => watcher.ready()))
    const delivered = resyncing.batches()
    for (const name of ['kept', 'changed', 'gone']) await direct.put(`${prefix}resync/${name}`, 'old')
    const before = await Promise.all([delivered.next(), delivered.next(), delivered.next()])
    proxy.refuse()
    proxy.cut()
    await poll('the watch has noticed', () => behind.status.state === 'reconnecting' || undefined)
    await direct.delete(`${prefix}resync/gone`)
    await direct.put(`${prefix}resync/changed`, 'new')
    await direct.put(`${prefix}resync/passing`, '')
    await direct.delete(`${prefix}resync/passing`)
    const { revision: added } = await direct.put(`${prefix}resync/added`, 'new')
    const { revision } = await direct.put(`${prefix}behind`, 'missed')
    await direct.compact(revision)
    proxy.accept()
    const error = await behind[Symbol.asyncIterator]()
      .next()
      .catch((reason: unknown) => reason)
    assert.ok(error instanceof CompactedError)
    assert.equal(error.compactRevision, revision)
    const { value: resync } = await delivered.next()
    assert.deepEqual(
      [
        resync?.resync,
        resync?.revision,
        ...(resync?.events ?? []).map((e) => [e.type, e.keyText.slice(prefix.length), e.valueText, e.revision]),
      ],
      [
        true,
        revision,
        ['delete', 'resync/gone', '', before[2].value?.revision],
        ['put', 'resync/changed', 'new', added - 3],
        ['put', 'resync/added', 'new', added],
      ],
    )
    let last = revision
    while (last < (await future.ready()) + 1) last = (await direct.put(`${prefix}behind`, 'later')).revision
    await direct.put(`${prefix}resync/after`, '')
    assert.equal((await delivered.next()).value?.events[0]?.keyText, `${prefix}resync/after`)
    assert.equal((await future[Symbol.asyncIterator]().next()).value?.revision, last)
  })
})
