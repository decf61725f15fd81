import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CompactedError } from '../../src/core/errors.js'
import type { Change } from '../../src/informer/change.js'
import { Informer } from '../../src/informer/informer.js'
import { checkInformerOptions, type InformerOptions } from '../../src/informer/informer-options.js'
import { untyped } from '../support/fixtures.js'
import { FakeSource, failure, pageOf } from './fake-source.js'
import { batchOf, gate, inShort, kvOf, settled } from './fixtures.js'

function createInformer(t: TestContext, options: InformerOptions<string> = {}, source = new FakeSource()) {
  const informer = new Informer<string>(source, { prefix: '' }, options)
  t.after(() => informer.close())
  const delivered: Change<string>[] = []
  informer.subscribe((change) => delivered.push(change))
  return { informer, source, delivered, words: () => delivered.map(inShort) }
}

/** An informer that has listed `{ a: '1' }` at revision 7. */
async function createReady(t: TestContext, options: InformerOptions<string> = {}) {
  const source = new FakeSource()
  source.listings.push([pageOf({ a: '1' }, 7)])
  const created = createInformer(t, options, source)
  assert.equal(await created.informer.ready(), 7)
  await settled()
  return created
}

/** The changes that an iteration yields, as they arrive. */
function wordsOf(changes: AsyncIterable<Change<string>>): string[] {
  const words: string[] = []
  const read = async (): Promise<void> => {
    for await (const change of changes) words.push(inShort(change))
  }
  void read()
  return words
}

describe('An informer', () => {
  test('applies a revision to its store before it calls any handler', async (t) => {
    const { informer, source } = await createReady(t)
    const seen: unknown[] = []
    informer.on('change', ({ initial }) => {
      if (!initial) seen.push([informer.revision, informer.size, informer.get('a')])
    })
    await settled()
    source.happen(batchOf(8, { a: '2', b: '1', c: '1' }))
    await settled()
    assert.deepEqual(seen, Array(3).fill([8, 3, '2']))
    source.progress(12)
    await settled()
    assert.equal(informer.revision, 12)
  })

  test('lists in pages of the given size, or of the default size', async (t) => {
    const { source } = await createReady(t, { maxPageSize: 250 })
    source.listings.push([pageOf({ a: '1' }, 7)])
    source.fail(failure('COMPACTED'))
    await settled()
    assert.deepEqual(
      [source.pageSizes, source.onCompacted],
      [
        [250, 250],
        ['restart', 'restart'],
      ],
    )
    assert.deepEqual((await createReady(t)).source.pageSizes, [undefined])
  })

  test('delivers one difference with the last known values after a compaction', async (t) => {
    const { informer, source, delivered, words } = await createReady(t)
    const resyncs: unknown[] = []
    for (const event of ['ready', 'resync'] as const) informer.on(event, (payload) => resyncs.push(payload))
    source.happen(batchOf(8, { b: '1', c: '1' }))
    await settled()
    const reached = informer.waitForRevision(40)
    source.listings.push([{ revision: 40, kvs: [kvOf('a', '1', 7), kvOf('b', '2', 30), kvOf('d', '1', 31)] }])
    source.fail(new CompactedError('for a test', { effect: 'none', compactRevision: 20 }))
    await settled()
    await reached
    assert.deepEqual(words().slice(3), ['~b=1>2', '-c=1', '+d=1'])
    assert.deepEqual(
      delivered.slice(3).map(({ source, revision, initial }) => [source, revision, initial]),
      [
        ['resync', 30, false],
        ['resync', 40, false],
        ['resync', 31, false],
      ],
    )
    assert.deepEqual(resyncs, [{ reason: 'COMPACTED', fromRevision: 8, compactRevision: 20, toRevision: 40 }])
    assert.equal(informer.stats().resyncs, 1)
  })

  test('does not reuse the entry of another history with the same revision', async (t) => {
    const { source, words } = await createReady(t)
    source.listings.push([pageOf({ a: 'from the backup' }, 7)])
    source.fail(failure('REVISION_REWOUND'))
    await settled()
    assert.deepEqual(words(), ['+a=1', '~a=1>from the backup'])
  })

  test('confirms its revision by a read if the member reports no progress and nothing has happened', async (t) => {
    const { informer, source } = await createReady(t)
    source.answer = { kvs: [kvOf('a', '1', 7)], count: 1, revision: 12 }
    await informer.waitForRevision(12, { timeoutMs: 5000 })
    assert.deepEqual([informer.revision, source.reads, [...source.modes]], [12, 1, ['linearizable']])
    assert.ok((source.watches[0]?.asked ?? 0) >= 3)
    assert.equal(informer.stats().resyncs, 0)
    source.listings.push([pageOf({ a: '2' }, 40)])
    const from: number[] = []
    informer.on('resync', ({ fromRevision }) => from.push(fromRevision))
    source.fail(failure('COMPACTED'))
    await settled()
    assert.deepEqual(from, [12])
  })

  test('does not change its revision after it is closed, by such a read either', async (t) => {
    const { informer, source } = await createReady(t)
    const { promise, open } = gate()
    const read = source.range
    source.range = async (...asked) => {
      await promise
      return read(...asked)
    }
    source.answer = { kvs: [kvOf('a', '1', 7)], count: 1, revision: 12 }
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
    const check = assert.rejects(informer.waitForRevision(12), { code: 'CLOSED' })
    t.mock.timers.tick(300)
    await informer.close()
    open()
    await check
    await settled()
    assert.deepEqual([informer.revision, source.reads], [7, 1])
  })

  test('ignores events of a key that was created and deleted before such a read', async (t) => {
    const { informer, source, words } = await createReady(t)
    source.answer = { kvs: [kvOf('a', '1', 7)], count: 1, revision: 12 }
    await informer.waitForRevision(12, { timeoutMs: 5000 })
    source.happen(batchOf(9, { b: '1' }))
    source.happen(batchOf(10, { b: undefined }))
    await settled()
    assert.deepEqual([informer.revision, informer.size, words()], [12, 1, ['+a=1']])
    source.happen(batchOf(13, { c: '1' }))
    await settled()
    assert.deepEqual([informer.revision, words().at(-1)], [13, '+c=1'])
  })

  for (const [what, answer] of [
    ['was written', { kvs: [kvOf('a', '2', 9)], count: 1, revision: 12 }],
    ['was deleted', { kvs: [], count: 0, revision: 12 }],
    ['is new', { kvs: [kvOf('a', '1', 7)], count: 2, revision: 12 }],
  ] as const) {
    test(`waits for the event of a key that ${what}`, async (t) => {
      const { informer, source } = await createReady(t)
      source.answer = { ...answer, kvs: [...answer.kvs] }
      t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
      const waiting = assert.rejects(informer.waitForRevision(12, { timeoutMs: 400 }), { code: 'DEADLINE_EXCEEDED' })
      t.mock.timers.tick(399)
      await settled()
      t.mock.timers.tick(1)
      await waiting
      assert.deepEqual([informer.revision, source.reads], [7, 1])
    })
  }

  test('reads from the cluster with its codec and filter when it is not fresh in time', async (t) => {
    const { informer, source } = await createReady(t, {
      filter: (value) => value !== 'hidden',
      transform: (value) => value.toUpperCase(),
    })
    for (const [value, expected] of [
      ['new', 'NEW'],
      ['hidden', undefined],
    ] as const) {
      source.answer = { kvs: [kvOf('a', value, 9)], count: 1, revision: 12 }
      assert.equal(await informer.getFresh('a', { timeoutMs: 200 }), expected)
    }
    source.answer = { kvs: [], count: 0, revision: 12 }
    assert.equal(await informer.getFresh('a', { timeoutMs: 200 }), undefined)
    source.progress(12)
    assert.equal(await informer.getFresh('a'), '1')
    assert.deepEqual([...source.modes], ['linearizable'])
  })

  /** Everything that can wait for an informer, as one promise each. */
  function everyWait(informer: Informer<string>): Promise<unknown>[] {
    return [
      informer.ready(),
      informer.ready({ signal: new AbortController().signal }),
      informer.waitForRevision(1),
      informer.subscribe(() => {}).ready,
    ]
  }

  test('rejects all waits with its permanent failure', async (t) => {
    const denied = failure('PERMISSION_DENIED')
    const source = new FakeSource()
    source.listings.push(denied)
    const { informer } = createInformer(t, {}, source)
    const errors: unknown[] = []
    informer.on('error', (error) => errors.push(error))
    const iterations = (['initial', 'now', 3] as const).map((from) => informer.events({ from }).next())
    await Promise.all([...everyWait(informer), ...iterations].map((wait) => assert.rejects(wait, denied)))
    assert.deepEqual(errors, [{ error: denied, terminal: true }])
    assert.equal(informer.stats().state, 'failed')
    assert.throws(() => informer.subscribe(() => {}), denied)
    assert.throws(() => informer.events(), denied)
    await informer.close()
    await assert.rejects(informer.ready(), denied)
    await assert.rejects(informer.waitForRevision(1), denied)
  })

  test('stops its watch, ends iterations and rejects waits when it is closed', async (t) => {
    const { informer } = createInformer(t)
    const iterations = (['initial', 'now', 3] as const).map((from) => informer.events({ from }).next())
    const checks = everyWait(informer).map((wait) => assert.rejects(wait, { code: 'CLOSED' }))
    await Promise.all([informer.close(), informer.close()])
    await Promise.all(checks)
    assert.deepEqual(await Promise.all(iterations), Array(3).fill({ value: undefined, done: true }))
    await assert.rejects(informer.ready(), { code: 'CLOSED' })
    await assert.rejects(informer.waitForRevision(0), { code: 'CLOSED' })
    assert.equal(informer.stats().state, 'closed')
  })

  test('rejects a fresh read that waits when it is closed', async (t) => {
    const { informer, source } = await createReady(t)
    source.answer = { kvs: [kvOf('a', '2', 9)], count: 1, revision: 9 }
    const check = assert.rejects(informer.getFresh('a'), { code: 'CLOSED' })
    await settled()
    await informer.close()
    await check
  })

  test('calls the listeners of a change with changes of their type only', async (t) => {
    const { informer, source } = await createReady(t)
    const found: string[] = []
    const types = ['add', 'update', 'delete', 'change'] as const
    for (const type of types) informer.on(type, (change) => found.push(`${type} ${inShort(change)}`))
    source.happen(batchOf(8, { a: '2' }, false))
    source.happen(batchOf(9, { a: undefined }))
    await settled()
    assert.deepEqual(
      types.map((type) => found.filter((each) => each.startsWith(type)).join()),
      ['add +a=1', 'update ~a=1>2', 'delete -a=2', 'change +a=1,change ~a=1>2,change -a=2'],
    )
  })

  test('keeps showing its last state after it is closed, and delivers nothing more', async (t) => {
    const { informer, source, words } = await createReady(t)
    source.happen(batchOf(8, { b: '1' }))
    source.happen(batchOf(9, { c: '1' }))
    await informer.close()
    await settled()
    assert.deepEqual(words(), ['+a=1'])
    assert.ok(informer.get('a'))
    assert.ok(source.watches[0]?.signal.aborted)
  })

  test('rejects `ready` of a subscription that is closed earlier', async (t) => {
    const { informer } = createInformer(t)
    const subscription = informer.subscribe(() => {})
    subscription.close()
    await assert.rejects(subscription.ready, /the subscription was closed/)
    assert.equal(informer.stats().handlers.length, 1)
  })

  test('does not count revisions of a previous history as reached', async (t) => {
    const { informer, source } = await createReady(t)
    const wait = informer.waitForRevision(80, { timeoutMs: 50 })
    source.listings.push([pageOf({ a: '1' }, 60)])
    source.happen(batchOf(80, { b: '1' }))
    source.restored(60)
    await assert.rejects(wait, { code: 'DEADLINE_EXCEEDED' })
    assert.equal(informer.revision, 60)
  })

  test('reports why it does not get on when a wait is over', async (t) => {
    const source = new FakeSource()
    source.listings.push(...Array(5).fill(failure('NO_LEADER')))
    const { informer } = createInformer(t, {}, source)
    for (const wait of [informer.ready({ timeoutMs: 10 }), informer.waitForRevision(5, { timeoutMs: 10 })])
      await assert.rejects(wait, { code: 'DEADLINE_EXCEEDED', message: /NO_LEADER/ })
  })

  test('reports no error that it has overcome when a wait is over', async (t) => {
    const source = new FakeSource()
    source.listings.push(failure('NO_LEADER'), [pageOf({ a: '1' }, 7)])
    const { informer } = createInformer(t, {}, source)
    await informer.ready()
    await settled()
    const message = (error: Error): boolean => !error.message.includes('NO_LEADER')
    await assert.rejects(informer.waitForRevision(8, { timeoutMs: 10 }), message)
  })

  test('has the member and the reconnects of its watch in its counters', async (t) => {
    const { informer, source } = await createReady(t)
    const [watch] = source.watches
    Object.assign(watch ?? {}, { status: { ...watch?.status, reconnects: 2 } })
    const { endpoint, reconnects } = informer.stats()
    assert.deepEqual([endpoint, reconnects], ['fake', 2])
  })

  test('reports its end to internal listeners, also to late ones', async (t) => {
    const { informer } = await createReady(t)
    const ends: string[] = []
    informer.onEnd(() => ends.push('early'))
    await informer.close()
    informer.onEnd(() => ends.push('late'))
    assert.deepEqual(ends, ['early', 'late'])
  })

  test('waits 10 s for a revision by default', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { informer } = createInformer(t)
    const wait = informer.waitForRevision(5)
    let isOver = false
    const check = assert.rejects(wait, { code: 'DEADLINE_EXCEEDED' }).then(() => (isOver = true))
    t.mock.timers.tick(9999)
    await settled()
    assert.equal(isOver, false)
    t.mock.timers.tick(1)
    await check
  })

  test('writes its state to disk after each listing, and some seconds after a change', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-informer-'))
    t.after(() => rmSync(folder, { recursive: true }))
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const persist = join(folder, 'state')
    const { informer, source } = await createReady(t, { persist })
    const written = async (revision: number): Promise<void> => {
      t.mock.timers.tick(5000)
      while (!existsSync(persist) || JSON.parse(readFileSync(persist, 'utf8')).revision !== revision) await settled()
    }
    await written(7)
    source.happen(batchOf(8, { b: '1' }))
    await settled()
    await written(8)
    source.happen(batchOf(9, { c: '1' }))
    await settled()
    await informer.close()
    assert.equal(JSON.parse(readFileSync(persist, 'utf8')).revision, 9)
  })

  test('stores the cluster of its keys, not the one that the client has followed since', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-informer-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const persist = join(folder, 'state')
    const stored = async (source: FakeSource, follow: () => Promise<void>): Promise<unknown[]> => {
      source.cluster.admits({ clusterId: 'c1', memberId: 'a1', revision: 7, raftTerm: 2 })
      source.listings.push([pageOf({ a: '1' }, 7)])
      const { informer } = createInformer(t, { persist }, source)
      await informer.ready()
      source.happen(batchOf(8, { b: '1' }))
      await follow()
      await informer.close()
      const { clusterId, revision } = JSON.parse(readFileSync(persist, 'utf8'))
      return [clusterId, revision]
    }
    const source = new FakeSource()
    const follow = async (): Promise<void> => {
      source.cluster.adopt('c2')
      await settled()
    }
    assert.deepEqual(await stored(source, follow), ['c1', 8])
    const other = new FakeSource()
    const list = async (): Promise<void> => {
      other.listings.push([pageOf({ a: '1' }, 3)])
      other.cluster.adopt('c2')
      await settled()
    }
    assert.deepEqual(await stored(other, list), ['c2', 3])
  })

  test('ends a wait by its signal or timeout', async (t) => {
    const { informer } = createInformer(t)
    const controller = new AbortController()
    const waits = [
      informer.ready(controller),
      informer.waitForRevision(5, controller),
      informer.getFresh('a', controller),
    ]
    const checks = waits.map((wait) => assert.rejects(wait, /stop/))
    await settled()
    controller.abort(new Error('stop'))
    await Promise.all(checks)
    await assert.rejects(informer.ready({ timeoutMs: 10 }), { code: 'DEADLINE_EXCEEDED' })
    await assert.rejects(informer.ready({ signal: AbortSignal.abort(new Error('before')) }), /before/)
  })

  test('yields changes from all existing keys, from now, or from a revision', async (t) => {
    const { informer, source } = await createReady(t)
    source.happen(batchOf(8, { a: '2', b: '1' }, false))
    source.happen(batchOf(9, { c: '1' }))
    await settled()
    source.listings.push([{ revision: 7, kvs: [kvOf('a', '1', 7), kvOf('x', '1', 6)] }])
    const streams = (['initial', 'now', 7, 0, 9, 10] as const).map((from) => informer.events({ from }))
    await settled()
    source.happen(batchOf(10, { d: '1' }))
    source.happen(batchOf(11, { e: '1' }))
    await settled()
    const sources: string[] = []
    const words = await Promise.all(
      streams.map(async (stream) => {
        const found: string[] = []
        for await (const change of stream) {
          found.push(inShort(change))
          sources.push(change.source)
          if (change.keyText === 'e') return found.join(' ')
        }
        return assert.fail('the iteration ended')
      }),
    )
    assert.deepEqual(words, [
      '+a=2 +b=1 +c=1 +d=1 +e=1',
      '+d=1 +e=1',
      '~a=1>2 +b=1 +c=1 -x=1 +d=1 +e=1',
      '+a=2 +b=1 +c=1 +d=1 +e=1',
      '+d=1 +e=1',
      '+e=1',
    ])
    const counts = ['list', 'watch', 'resync'].map((source) => sources.filter((each) => each === source).length)
    assert.deepEqual(counts, [3, 11, 7], 'what an iteration has missed is a resync')
    assert.equal(informer.stats().handlers.length, 1, 'left loops leave nothing')
  })

  test('keeps no iteration in memory that was left', async (t) => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const { informer } = await createReady(t)
    const leave = async (): Promise<WeakRef<object>> => {
      const changes = informer.events()
      await changes.next()
      await changes.return?.()
      return new WeakRef(changes)
    }
    const left = await leave()
    for (let turns = 0; turns < 50 && left.deref() !== undefined; turns += 1) {
      await settled()
      collectGarbage()
    }
    assert.equal(left.deref(), undefined)
  })

  test('yields changes from now only after the first listing', async (t) => {
    const source = new FakeSource()
    const listed = gate()
    source.listings.push([pageOf({ a: '1' }, 7)])
    source.midway = () => listed.promise
    const { informer } = createInformer(t, {}, source)
    const words = wordsOf(informer.events({ from: 'now' }))
    await settled()
    listed.open()
    await settled()
    source.happen(batchOf(8, { b: '1' }))
    await settled()
    assert.deepEqual(words, ['+b=1'])
  })

  for (const code of ['REVISION_REWOUND', 'CLUSTER_CHANGED'] as const) {
    test(`yields the whole difference after ${code}, whatever revision an iteration started from`, async (t) => {
      const { informer, source } = await createReady(t)
      source.happen(batchOf(95, { b: '1' }))
      await settled()
      const all = [50, 95, 100].map((from) => {
        if (from === 50) source.listings.push([{ revision: 50, kvs: [kvOf('a', '1', 7)] }])
        return wordsOf(informer.events({ from }))
      })
      await settled()
      source.listings.push([{ revision: 50, kvs: [kvOf('a', 'restored', 40), kvOf('c', 'restored', 45)] }])
      source.fail(failure(code))
      await settled()
      source.happen(batchOf(51, { d: '1' }))
      await settled()
      const difference = ['~a=1>restored', '-b=1', '+c=restored', '+d=1']
      assert.deepEqual(all, [['+b=1', ...difference], difference, difference])
    })
  }

  test('yields the whole difference if the cluster is restored before an iteration has started', async (t) => {
    const { informer, source } = await createReady(t)
    source.happen(batchOf(95, { b: '1' }))
    await settled()
    source.listings.push([{ revision: 90, kvs: [kvOf('a', '1', 7)] }])
    source.midway = () => {
      source.listings.push([{ revision: 50, kvs: [kvOf('a', 'restored', 40), kvOf('c', 'restored', 45)] }])
      source.fail(failure('REVISION_REWOUND'))
      return opened.promise
    }
    const opened = gate()
    const words = wordsOf(informer.events({ from: 90 }))
    await settled()
    assert.equal(informer.revision, 50)
    opened.open()
    await settled()
    assert.deepEqual(words, ['~a=1>restored', '+c=restored'])
  })

  test('throws from an iteration whose revision is compacted, and stops reading for one that was left', async (t) => {
    const { informer, source } = await createReady(t)
    source.happen(batchOf(8, { a: '2' }))
    await settled()
    source.listings.push(new CompactedError('for a test', { effect: 'none', compactRevision: 8 }))
    await assert.rejects(informer.events({ from: 3 }).next(), { code: 'COMPACTED', compactRevision: 8 })
    const stream = informer.events({ from: 3 })
    await settled()
    const signal = source.signals.at(-1)
    assert.equal(signal?.aborted, false)
    await stream.return?.()
    assert.equal(signal?.aborted, true)
    assert.equal(informer.stats().handlers.length, 1)
  })

  test('does not subscribe an iteration whose signal is already aborted', async (t) => {
    const { informer } = await createReady(t)
    const stream = informer.events({ signal: AbortSignal.abort(new Error('before')) })
    await assert.rejects(stream.next(), /before/)
    assert.equal(informer.stats().handlers.length, 1)
  })

  test('starts with the state on disk, and then delivers what has changed since', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-informer-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const persist = join(folder, 'state')
    const first = await createReady(t, { persist })
    first.source.happen(batchOf(8, { b: '1', c: '1' }))
    await settled()
    await first.informer.close()

    const { informer, source, delivered, words } = createInformer(t, { persist })
    assert.equal(await informer.ready({ allowStale: true }), 8)
    assert.deepEqual([informer.isStale, informer.get('b'), informer.size], [true, '1', 3])
    await settled()
    assert.deepEqual(words(), ['+a=1', '+b=1', '+c=1'])
    await informer.close()

    // The next informer reaches the cluster: `a` has the same revision and another value, so it is another cluster.
    const next = new FakeSource()
    next.listings.push([{ revision: 9, kvs: [kvOf('a', 'other', 7), kvOf('b', '1', 8)] }])
    const third = createInformer(t, { persist }, next)
    assert.equal(third.informer.isStale, true)
    assert.equal(await third.informer.ready(), 9)
    await settled()
    assert.equal(third.informer.isStale, false)
    assert.deepEqual(third.words().slice(3), ['~a=1>other', '-c=1'])
    assert.deepEqual(
      third.delivered.map(({ source, initial }) => `${source} ${initial}`),
      [...Array(3).fill('list true'), ...Array(2).fill('resync false')],
    )
    assert.deepEqual([source.watches.length, delivered.length], [0, 3])
  })

  test('reports that the cluster was restored since its state was stored', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-informer-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const persist = join(folder, 'state')
    await (await createReady(t, { persist })).informer.close()
    const source = new FakeSource()
    source.listings.push([pageOf({ a: '1' }, 6)])
    const { informer } = createInformer(t, { persist }, source)
    const resyncs: unknown[] = []
    informer.on('resync', (resync) => resyncs.push(resync))
    await informer.ready()
    const expected = { reason: 'REVISION_REWOUND', fromRevision: 7, compactRevision: undefined, toRevision: 6 }
    assert.deepEqual(resyncs, [expected])
  })

  test('reports a file that it cannot use, and starts without it', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-informer-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const persist = join(folder, 'state')
    writeFileSync(persist, '{')
    const { informer, source } = createInformer(t, { persist })
    const errors: unknown[] = []
    informer.on('error', ({ error, terminal }) => errors.push(String(error), terminal))
    await settled()
    assert.match(String(errors[0]), /SyntaxError/)
    assert.deepEqual([errors.length, errors[1], informer.isStale, source.signals.length], [2, false, false, 1])
  })

  test('rejects invalid options and arguments', async (t) => {
    for (const [options, message] of [
      [{ maxQueuedChanges: 0 }, /`maxQueuedChanges`/],
      [{ maxPageSize: -1 }, /`maxPageSize`/],
      [{ filter: 1 }, /`filter` must be a function/],
      [{ transform: 'x' }, /`transform` must be a function/],
      [{ indexes: { zone: 1 } }, /`indexes.zone` must be a function/],
      [{ codec: {} }, /`codec` takes a codec such as json/],
      [{ persist: '' }, /`persist` must be the path/],
      [{ persist: 'x', codec: { decode: String } }, /`codec.encode` must be a function/],
      [{ persistent: 'x' }, /persistent/],
    ] as const) {
      assert.throws(() => checkInformerOptions(options as object), { code: 'INVALID_ARGUMENT', message })
    }
    const { informer } = await createReady(t)
    for (const call of [
      () => untyped(informer).on?.('updated', () => {}),
      () => untyped(informer).on?.('update'),
      () => untyped(informer).subscribe?.({}),
      () => untyped(informer).events?.({ from: 'then' }),
      () => untyped(informer).events?.({ from: -1 }),
      () => untyped(informer).by?.('zone', 'x'),
    ]) {
      assert.throws(() => call.call(informer), { code: 'INVALID_ARGUMENT' })
    }
    await assert.rejects(informer.waitForRevision(1.5), { code: 'INVALID_ARGUMENT' })
  })
})
