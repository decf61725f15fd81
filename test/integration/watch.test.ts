import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deleteKey, EtcdError, put, type WatchBatch, type WatchEvent, type Watcher } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { hasReliableProgress } from '../../src/watch/progress-support.js'
import { addUser, rootPassword } from '../support/auth.js'
import { useClient, useCluster } from '../support/cluster.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

/** The first `count` things of an iteration, which goes on. */
async function first<T>(iterator: AsyncIterator<T, undefined>, count: number): Promise<T[]> {
  const items: T[] = []
  while (items.length < count) {
    const { value, done } = await iterator.next()
    if (done === true) throw new Error(`the iteration ended after ${items.length} of ${count}`)
    items.push(value as T)
  }
  return items
}

function firstEvents(watcher: Watcher, count: number): Promise<WatchEvent[]> {
  return first(watcher[Symbol.asyncIterator](), count)
}

function shown({ type, keyText, valueText, revision }: WatchEvent): unknown[] {
  return [type, keyText, valueText, revision]
}

describe('A watch', () => {
  const cluster = useCluster({ flags: { 'watch-progress-notify-interval': '100ms' } })
  const etcd = useClient(cluster)

  const watchers = (): Promise<number> => cluster.metric('etcd_debugging_mvcc_watcher_total')
  const streams = (): Promise<number> => cluster.metric('etcd_debugging_mvcc_watch_stream_total')

  function noneLeft(): Promise<unknown> {
    return poll('no watcher is left', async () => (await watchers()) + (await streams()) === 0 || undefined)
  }

  test('reports each change of a key, and its previous state', async () => {
    const prefix = uniquePrefix()
    await using watcher = etcd.watch({ prefix }, { prevKv: true })
    await watcher.ready()
    const created = await etcd.put(`${prefix}a`, 'one')
    const changed = await etcd.put(`${prefix}a`, 'two')
    const deleted = await etcd.delete(`${prefix}a`)
    const again = await etcd.put(`${prefix}a`, 'three')
    const events = await firstEvents(watcher, 4)
    assert.deepEqual(events.map(shown), [
      ['put', `${prefix}a`, 'one', created.revision],
      ['put', `${prefix}a`, 'two', changed.revision],
      ['delete', `${prefix}a`, '', deleted.revision],
      ['put', `${prefix}a`, 'three', again.revision],
    ])
    assert.deepEqual(
      events.map((event) => [event.created, event.kv.version, event.prevKv?.valueText]),
      [
        [true, 1, undefined],
        [false, 2, 'one'],
        [false, 0, 'two'],
        [true, 1, undefined],
      ],
    )
    assert.equal(events[1]?.kv.createRevision, created.revision)
  })

  test('reports no previous state unless requested, and no other keys', async () => {
    const prefix = uniquePrefix()
    await using watcher = etcd.watch(`${prefix}a`)
    await watcher.ready()
    await etcd.put(`${prefix}a`, 'one')
    await etcd.put(`${prefix}ab`, 'other')
    await etcd.put(`${prefix}a`, 'two')
    const events = await firstEvents(watcher, 2)
    assert.deepEqual(
      events.map(({ valueText, prevKv }) => [valueText, prevKv]),
      [
        ['one', undefined],
        ['two', undefined],
      ],
    )
  })

  test('reports only puts, or only deletions, on request', async () => {
    const prefix = uniquePrefix()
    await using puts = etcd.watch({ prefix }, { only: 'put' })
    await using deletions = etcd.watch({ prefix }, { only: 'delete', prevKv: true })
    await Promise.all([puts.ready(), deletions.ready()])
    for (const name of ['a', 'b']) {
      await etcd.put(prefix + name, name)
      await etcd.delete(prefix + name)
    }
    assert.deepEqual(
      (await firstEvents(puts, 2)).map(({ type, keyText }) => [type, keyText]),
      [
        ['put', `${prefix}a`],
        ['put', `${prefix}b`],
      ],
    )
    assert.deepEqual(
      (await firstEvents(deletions, 2)).map(({ type, prevKv }) => [type, prevKv?.valueText]),
      [
        ['delete', 'a'],
        ['delete', 'b'],
      ],
    )
  })

  test('begins in the past, now, or in the future', async () => {
    const prefix = uniquePrefix()
    const revisions: number[] = []
    const write = async (): Promise<number> => revisions.push((await etcd.put(`${prefix}key`, 'value')).revision)
    await write()
    await write()
    const [start = 0] = revisions
    await using past = etcd.watch({ prefix }, { startRevision: start })
    await using now = etcd.watch({ prefix })
    await using future = etcd.watch({ prefix }, { startRevision: start + 3 })
    assert.deepEqual(await Promise.all([past.ready(), now.ready(), future.ready()]), [start - 1, start + 1, start + 2])
    for (let count = 0; count < 3; count += 1) await write()
    const revisionsOf = async (watcher: Watcher, count: number) =>
      (await firstEvents(watcher, count)).map((e) => e.revision)
    assert.deepEqual(await revisionsOf(past, 5), revisions)
    assert.deepEqual(await revisionsOf(now, 3), revisions.slice(2))
    assert.deepEqual(await revisionsOf(future, 2), revisions.slice(3))
  })

  test("begins, from now on, after the client's own writes", async () => {
    const prefix = uniquePrefix()
    for (let round = 0; round < 20; round += 1) {
      await etcd.put(`${prefix}key`, `before ${round}`)
      await using watcher = etcd.watch({ prefix })
      await watcher.ready()
      await etcd.put(`${prefix}key`, `after ${round}`)
      assert.equal((await firstEvents(watcher, 1))[0]?.valueText, `after ${round}`)
    }
  })

  test('delivers all events of a transaction in one batch', async () => {
    const prefix = uniquePrefix()
    await etcd.put(`${prefix}gone`, '')
    await using watcher = etcd.watch({ prefix })
    await watcher.ready()
    const names = Array.from({ length: 100 }, (_, index) => `${prefix}${String(index).padStart(3, '0')}`)
    const { revision } = await etcd
      .txn()
      .then(...names.map((name) => put(name, 'value')), deleteKey(`${prefix}gone`))
      .commit()
    await etcd.put(`${prefix}last`, '')
    const [batch, last] = await first<WatchBatch>(watcher.batches(), 2)
    assert.deepEqual([batch?.revision, last?.revision], [revision, revision + 1])
    assert.deepEqual(batch?.events.map(({ keyText }) => keyText).sort(), [...names, `${prefix}gone`])
    assert.ok(batch?.events.every((event) => event.revision === revision))
  })

  test('reports its progress in empty batches on request', async (t) => {
    if (!hasReliableProgress(cluster.version)) {
      t.skip(`the progress of ${cluster.version} is not trusted`)
      return
    }
    const prefix = uniquePrefix()
    await using watcher = etcd.watch({ prefix }, { progress: true })
    const batches = watcher.batches()
    await watcher.ready()
    const { revision } = await etcd.put('elsewhere', 'value')
    const bookmark = await poll('progress has come', async () => {
      watcher.requestProgress()
      const [batch] = await first<WatchBatch>(batches, 1)
      return batch !== undefined && batch.revision >= revision ? batch : undefined
    })
    assert.deepEqual(bookmark.events, [])
    assert.ok(watcher.status.revision >= revision)
    // Without being asked, as often as the member is configured to.
    const next = await etcd.put('elsewhere', 'value')
    await poll('progress has come unrequested', async () => {
      const [batch] = await first<WatchBatch>(batches, 1)
      return (batch?.revision ?? 0) >= next.revision || undefined
    })
    await etcd.put(`${prefix}key`, '')
    const [event] = await first<WatchBatch>(batches, 1)
    assert.equal(event?.events[0]?.keyText, `${prefix}key`)
  })

  test('delivers a backlog larger than the maximum message size', async () => {
    const prefix = uniquePrefix()
    const value = Buffer.alloc(10_000, 'x')
    const revisions = await Promise.all(
      Array.from({ length: 1001 }, async (_, index) => (await etcd.put(`${prefix}${index % 10}`, value)).revision),
    )
    await using watcher = etcd.watch({ prefix }, { startRevision: Math.min(...revisions), prevKv: true })
    const events = await firstEvents(watcher, 1001)
    assert.deepEqual(
      events.map(({ revision }) => revision),
      revisions.sort((a, b) => a - b),
    )
    assert.ok(events.every(({ kv }) => kv.value.equals(value)))
    assert.equal(watcher.status.reconnects, 0)
  })

  test('reports the expiry of a lease as the deletion of all its keys, at one revision', async () => {
    const prefix = uniquePrefix()
    await using watcher = etcd.watch({ prefix }, { prevKv: true })
    const batches = watcher.batches()
    const lease = await etcd.lease.grant(60)
    for (const name of ['a', 'b', 'c']) await etcd.put(prefix + name, 'value', { lease: lease.id })
    const put = await first<WatchBatch>(batches, 3)
    assert.ok(put.every(({ events: [event] }) => event?.kv.lease === lease.id))
    await lease.revoke()
    const [batch] = await first<WatchBatch>(batches, 1)
    assert.deepEqual(
      batch?.events.map(({ type, keyText, prevKv }) => [type, keyText.slice(prefix.length), prevKv?.lease]).sort(),
      [
        ['delete', 'a', lease.id],
        ['delete', 'b', lease.id],
        ['delete', 'c', lease.id],
      ],
    )
  })

  test('stays in its namespace: only its keys, without its prefix, from the same stream', async () => {
    const outer = uniquePrefix()
    const tenants = Array.from({ length: 20 }, (_, index) => etcd.namespace(`${outer}${index}/`))
    const watching = tenants.map((tenant) => tenant.watch({ prefix: '' }, { prevKv: true }))
    await Promise.all(watching.map((watcher) => watcher.ready()))
    assert.equal(await streams(), 1)
    for (const tenant of tenants) {
      await tenant.put('key', 'old')
      await tenant.put('key', 'new')
    }
    for (const watcher of watching) {
      const [, event] = await firstEvents(watcher, 2)
      assert.deepEqual([event?.keyText, event?.prevKv?.keyText, event?.prevKv?.valueText], ['key', 'key', 'old'])
      await watcher.close()
    }
    await using inside = etcd.namespace(outer).namespace('0/').watch('key')
    await inside.ready()
    await etcd.put(`${outer}0/key`, 'from outside')
    assert.equal((await firstEvents(inside, 1))[0]?.valueText, 'from outside')
  })

  test('shares watchers and the stream with others on the same ranges, and leaves nothing', async () => {
    await noneLeft()
    const prefix = uniquePrefix()
    const many = Array.from({ length: 10_000 }, (_, index) => etcd.watch({ prefix: `${prefix}${index % 100}/` }))
    await Promise.all(many.map((watcher) => watcher.ready()))
    assert.deepEqual([await watchers(), await streams()], [100, 1])
    const firsts = many.map((watcher) => firstEvents(watcher, 1))
    for (let range = 0; range < 100; range += 1) await etcd.put(`${prefix}${range}/key`, String(range))
    const events = await Promise.all(firsts)
    assert.ok(events.every(([event], index) => event?.valueText === String(index % 100)))
    // Those with other filters see something else, and have watchers of their own.
    const filtered = etcd.watch({ prefix: `${prefix}0/` }, { only: 'put' })
    await filtered.ready()
    assert.equal(await watchers(), 101)
    await Promise.all([...many, filtered].map((watcher) => watcher.close()))
    await noneLeft()
  })

  test('that joins others late delivers everything from its start on, and nothing twice', async () => {
    await noneLeft()
    const prefix = uniquePrefix()
    const { revision } = await etcd.put(`${prefix}key`, '0')
    await using early = etcd.watch({ prefix }, { startRevision: revision })
    const earlyEvents = early[Symbol.asyncIterator]()
    for (let count = 1; count < 50; count += 1) await etcd.put(`${prefix}key`, String(count))
    await first(earlyEvents, 50)
    await using late = etcd.watch({ prefix }, { startRevision: revision + 10 })
    for (let count = 50; count < 100; count += 1) await etcd.put(`${prefix}key`, String(count))
    const expected = Array.from({ length: 90 }, (_, index) => String(index + 10))
    assert.deepEqual(
      (await firstEvents(late, 90)).map(({ valueText }) => valueText),
      expected,
    )
    assert.deepEqual(
      (await first(earlyEvents, 50)).map(({ valueText }) => valueText),
      expected.slice(40),
    )
    await poll('they share a watcher', async () => (await watchers()) === 1 || undefined)
  })

  test('can be created, left and created again on the same key, while others continue', async () => {
    const prefix = uniquePrefix()
    await using constant = etcd.watch({ prefix })
    await constant.ready()
    for (let round = 0; round < 50; round += 1) {
      const watcher = etcd.watch({ prefix })
      if (round % 3 === 0) await watcher.ready()
      await watcher.close()
      assert.equal(watcher.status.state, 'ended')
    }
    await using last = etcd.watch({ prefix })
    await last.ready()
    await etcd.put(`${prefix}key`, '')
    await Promise.all([firstEvents(constant, 1), firstEvents(last, 1)])
    await poll('one watcher is left', async () => (await watchers()) === 1 || undefined)
  })

  test('ends when its loop is left, when it is closed, and when its signal aborts', async () => {
    const prefix = uniquePrefix()
    await noneLeft()
    const left = etcd.watch({ prefix })
    await left.ready()
    await etcd.put(`${prefix}key`, '')
    for await (const event of left) if (event.keyText === `${prefix}key`) break
    const leftBatches = etcd.watch({ prefix })
    await leftBatches.ready()
    await etcd.put(`${prefix}key`, '')
    for await (const batch of leftBatches.batches()) if (batch.events.length > 0) break
    await noneLeft()

    const closed = etcd.watch({ prefix })
    const waiting = closed[Symbol.asyncIterator]().next()
    await closed.close()
    assert.deepEqual(await waiting, { value: undefined, done: true })

    const controller = new AbortController()
    const aborted = etcd.watch({ prefix }, { signal: controller.signal })
    await aborted.ready()
    const rejected = assert.rejects(aborted[Symbol.asyncIterator]().next(), /enough/)
    controller.abort(new Error('enough'))
    await rejected
    const never = etcd.watch({ prefix }, { signal: AbortSignal.abort(new Error('too late')) })
    await assert.rejects(never.ready(), /too late/)
    await assert.rejects(never[Symbol.asyncIterator]().next(), /too late/)
    await noneLeft()
  })

  test('left as soon as it is created leaves no watcher and no stream, and lets the process exit', async (t) => {
    await noneLeft()
    const own = createClient(t, cluster)
    await own.connect()
    for (let turns = 0; turns < 12; turns += 1) {
      const watcher = own.watch('key')
      for (let turn = 0; turn < turns; turn += 1) await undefined
      await watcher.close()
    }
    await own.get('key')
    await noneLeft()
    const last = own.watch('key')
    await undefined
    await undefined
    await last.close()
    await own.close()
    await noneLeft()
  })

  test('removes its listener from its signal', async () => {
    const { signal } = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: unknown[]) => {
      listeners += 1
      Reflect.apply(addEventListener, signal, args)
    }
    signal.removeEventListener = (...args: unknown[]) => {
      listeners -= 1
      Reflect.apply(removeEventListener, signal, args)
    }
    const closed = etcd.watch('key', { signal })
    await closed.close()
    const { revision } = await etcd.put('key', '')
    await etcd.put('key', '')
    await etcd.compact(revision + 1)
    await assert.rejects(firstEvents(etcd.watch('key', { signal, startRevision: 1 }), 1), { code: 'COMPACTED' })
    assert.equal(listeners, 0)
  })

  test('can be iterated once', async () => {
    await using watcher = etcd.watch('key')
    watcher.batches()
    assert.throws(() => watcher[Symbol.asyncIterator](), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => watcher.batches(), { code: 'INVALID_ARGUMENT' })
  })

  test('rejects wrong arguments immediately', () => {
    const wrong: readonly (readonly [range: unknown, options?: unknown])[] = [
      [undefined],
      [5],
      [{ from: 'b', to: 'a' }],
      [{ prefix: 'a', key: 'b' }],
      ['key', { startRevision: 0 }],
      ['key', { startRevision: 1.5 }],
      ['key', { startRevision: '5' }],
      ['key', { maxBufferedEvents: 0 }],
      ['key', { only: 'puts' }],
      ['key', { prevKv: 'yes' }],
      ['key', { progress: 1 }],
      ['key', { onCompacted: 'ignore' }],
      ['key', { onCompacted: 'resync', only: 'delete' }],
      ['key', { signal: {} }],
      ['key', { startrevision: 5 }],
    ]
    const watch = (range: unknown, options: unknown) =>
      (etcd.watch as (...args: unknown[]) => unknown).call(etcd, range, options)
    for (const [range, options] of wrong) {
      assert.throws(() => watch(range, options), { code: 'INVALID_ARGUMENT' }, JSON.stringify([range, options]))
    }
    assert.throws(() => etcd.watch(''), { code: 'EMPTY_KEY' })
  })

  test('that begins in compacted history ends after the remaining events, and no other watch does', async () => {
    const prefix = uniquePrefix()
    const { revision } = await etcd.put(`${prefix}key`, '1')
    for (const value of ['2', '3', '4']) await etcd.put(`${prefix}key`, value)
    await using live = etcd.watch({ prefix })
    await live.ready()
    await etcd.compact(revision + 2)
    await using old = etcd.watch({ prefix }, { startRevision: revision })
    await using exact = etcd.watch({ prefix }, { startRevision: revision + 2 })
    await assert.rejects(firstEvents(old, 1), { code: 'COMPACTED', compactRevision: revision + 2, effect: 'none' })
    assert.equal(old.status.state, 'ended')
    await etcd.put(`${prefix}key`, '5')
    assert.deepEqual(
      (await firstEvents(exact, 3)).map(({ valueText }) => valueText),
      ['3', '4', '5'],
    )
    assert.deepEqual(
      (await firstEvents(live, 1)).map(({ valueText }) => valueText),
      ['5'],
    )
  })

  test('that begins in compacted history can deliver the difference instead', async () => {
    const prefix = uniquePrefix()
    const { revision } = await etcd.put(`${prefix}a`, '1')
    await etcd.put(`${prefix}b`, '1')
    const { revision: compacted } = await etcd.put(`${prefix}b`, '2')
    await etcd.compact(compacted)
    for (const keyspace of [etcd, etcd.namespace(prefix)]) {
      const own = keyspace === etcd ? prefix : ''
      await using watcher = keyspace.watch({ prefix: own }, { startRevision: revision, onCompacted: 'resync' })
      const batches = watcher.batches()
      const [batch] = await first<WatchBatch>(batches, 1)
      assert.equal(batch?.resync, true)
      assert.deepEqual(batch.events.map(shown), [
        ['put', `${own}a`, '1', revision],
        ['put', `${own}b`, '2', compacted],
      ])
      const { revision: next } = await keyspace.put(`${own}c`, '1')
      const [after] = await first<WatchBatch>(batches, 1)
      assert.deepEqual([after?.revision, after?.resync], [next, undefined])
      await keyspace.delete(`${own}c`)
    }
  })

  test('reports its status', async () => {
    const prefix = uniquePrefix()
    await using watcher = etcd.watch({ prefix }, { startRevision: 1_000_000 })
    assert.equal(watcher.status.endpoint, undefined)
    await watcher.close()
    const { revision } = await etcd.put(`${prefix}key`, '')
    await using other = etcd.watch({ prefix }, { startRevision: revision })
    await other.ready()
    await etcd.put(`${prefix}key`, '')
    await poll('two events wait', () => other.status.buffered === 2 || undefined)
    assert.deepEqual(other.status, {
      state: 'active',
      endpoint: cluster.endpoints[0],
      revision: revision - 1,
      lag: 2,
      buffered: 2,
      reconnects: 0,
    })
    const iterator = other[Symbol.asyncIterator]()
    await first(iterator, 2)
    assert.deepEqual([other.status.revision, other.status.lag, other.status.buffered], [revision + 1, 0, 0])
  })

  test('is ready within the time limit of its caller, or rejects', async (t) => {
    const nowhere = createClient(t, { endpoints: ['http://127.0.0.1:1'] })
    await using watcher = nowhere.watch('key')
    await assert.rejects(watcher.ready({ timeoutMs: 50 }), { code: 'DEADLINE_EXCEEDED', effect: 'none' })
    await assert.rejects(watcher.ready({ signal: AbortSignal.abort(new Error('no')) }), /no/)
    assert.equal(watcher.status.state, 'connecting')
    const ready = watcher.ready()
    await watcher.close()
    await assert.rejects(ready, { code: 'CLOSED' })
  })

  test('ends with its client', async (t) => {
    await noneLeft()
    const own = createClient(t, cluster)
    const watcher = own.watch('key')
    await watcher.ready()
    const waiting = assert.rejects(watcher[Symbol.asyncIterator]().next(), { code: 'CLOSED' })
    await own.close()
    await waiting
    assert.equal(watcher.status.state, 'ended')
    await assert.rejects(own.watch('key').ready(), { code: 'CLOSED' })
    await noneLeft()
  })

  test('whose consumer throws does not affect others', async () => {
    const prefix = uniquePrefix()
    await using other = etcd.watch({ prefix })
    const clumsy = etcd.watch({ prefix })
    await Promise.all([other.ready(), clumsy.ready()])
    const clumsily = async (): Promise<void> => {
      for await (const event of clumsy) throw new Error(`clumsy at ${event.valueText}`)
    }
    const failing = assert.rejects(clumsily(), /clumsy at 1/)
    for (const value of ['1', '2', '3']) await etcd.put(`${prefix}key`, value)
    await failing
    assert.equal(clumsy.status.state, 'ended')
    assert.deepEqual(
      (await firstEvents(other, 3)).map(({ valueText }) => valueText),
      ['1', '2', '3'],
    )
  })
})

describe('A watch without read permission', () => {
  const cluster = useCluster({ auth: { rootPassword } })

  test('fails for its own consumer alone, with the reason, and the next watch works', async (t) => {
    const root = createClient(t, cluster, { auth: { username: 'root', password: rootPassword } })
    await addUser(root, 'alice', 'alice-secret', { range: { prefix: 'open/' } })
    const alice = createClient(t, cluster, { auth: { username: 'alice', password: 'alice-secret' } })
    const names = Array.from({ length: 20 }, (_, index) => `${index % 2 === 0 ? 'open' : 'shut'}/${index}`)
    const all = names.map((name) => alice.watch(name))
    const results = await Promise.allSettled(all.map((watcher) => firstOrDenied(watcher)))
    assert.deepEqual(
      results.map(({ status }) => status),
      names.map((name) => (name.startsWith('open') ? 'fulfilled' : 'rejected')),
    )
    for (const result of results) {
      if (result.status === 'rejected') assert.equal(result.reason.code, 'PERMISSION_DENIED')
    }
    const next = alice.watch({ prefix: 'open/' })
    await next.ready()
    await alice.put('open/0', 'value')
    assert.equal((await firstEvents(next, 1))[0]?.valueText, 'value')
    assert.equal(all[0]?.status.reconnects, 0)
  })

  /** Watches that are refused reject at the first event; the others are there. */
  async function firstOrDenied(watcher: Watcher): Promise<number> {
    const revision = await watcher.ready()
    assert.ok(revision > 0)
    return revision
  }

  test('reports a wrong password as such', async (t) => {
    const stranger = createClient(t, cluster, { auth: { username: 'root', password: 'wrong' } })
    const watcher = stranger.watch('key')
    await assert.rejects(firstEvents(watcher, 1), (error) => error instanceof EtcdError && error.code === 'AUTH_FAILED')
  })
})
