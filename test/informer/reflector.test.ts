import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import { CompactedError, type ErrorCode } from '../../src/core/errors.js'
import { type Gap, Reflector, type ReflectorTarget } from '../../src/informer/reflector.js'
import { FakeSource, failure, pageOf } from './fake-source.js'
import { batchOf, settled } from './fixtures.js'

/** What a reflector has reported, in words. */
class Target implements ReflectorTarget {
  readonly reported: string[] = []
  readonly gaps: Gap[] = []

  draft(isSameHistory: boolean) {
    const keys: string[] = []
    return {
      add: ({ key }: { key: Buffer }) => void keys.push(key.toString()),
      finish: (revision: number) =>
        void this.reported.push(`${isSameHistory ? '' : 'other '}${keys.join()}@${revision}`),
    }
  }

  listed(_revision: number, gap: Gap | undefined): void {
    if (gap !== undefined) this.gaps.push(gap)
  }

  apply({ revision, events }: { revision: number; events: readonly unknown[] }): void {
    this.reported.push(`${events.length} at ${revision}`)
  }

  retrying(error: unknown): void {
    this.reported.push(`retrying after ${(error as { code?: string }).code ?? error}`)
  }

  failed(error: unknown): void {
    this.reported.push(`failed by ${(error as { code?: string }).code}`)
  }
}

function createReflector(t: TestContext, sourceClosing?: AbortSignal) {
  const source = new FakeSource()
  const target = new Target()
  const reflector = new Reflector(
    {
      pages: (options) => source.list({ prefix: 'p' }, options).pages(),
      watch: (options) => source.watch({ prefix: 'p' }, { progress: true, ...options }),
      cluster: source.cluster,
    },
    target,
    sourceClosing,
  )
  t.after(() => reflector.close())
  return { source, target, reflector }
}

function compacted(compactRevision: number): CompactedError {
  return new CompactedError('for a test', { effect: 'none', compactRevision })
}

/** Mocked timers; delays are between half and all of 100 ms, 200 ms and so on. */
function mockTimers(t: TestContext): (ms: number) => Promise<void> {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  return async (ms) => {
    t.mock.timers.tick(ms)
    await settled()
  }
}

describe('A reflector', () => {
  test('lists page by page at one revision, then watches from the next one', async (t) => {
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 7), pageOf({ b: '2' }, 7)])
    assert.equal(reflector.state.kind, 'listing')
    reflector.start()
    await settled()
    assert.equal(reflector.state.kind, 'watching')
    assert.equal(source.watches[0]?.startRevision, 8)
    source.happen(batchOf(9, { a: '2', b: '3' }))
    source.progress(12)
    await settled()
    assert.deepEqual(target.reported, ['a,b@7', '2 at 9', '0 at 12'])
    assert.deepEqual([reflector.resyncs, target.gaps], [0, []])
  })

  test('starts its listing over when it is restarted', async (t) => {
    const { source, target, reflector } = createReflector(t)
    source.midway = ({ onRestart }) => onRestart?.()
    source.listings.push([pageOf({ old: '1' }, 7), pageOf({ a: '1' }, 9), pageOf({ b: '2' }, 9)])
    reflector.start()
    await settled()
    assert.deepEqual(target.reported, ['a,b@9'])
  })

  test('reports a failed listing, waits for increasing delays, and continues', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push(failure('NOT_CONNECTED'), failure('NO_LEADER'), new Error('odd'), [pageOf({ a: '1' }, 7)])
    reflector.start()
    await settled()
    assert.equal(reflector.state.kind, 'retrying')
    for (const [tooShort, enough] of [
      [49, 51],
      [99, 101],
      [199, 201],
    ] as const) {
      const { length } = target.reported
      await tick(tooShort)
      assert.equal(target.reported.length, length)
      await tick(enough)
      assert.equal(target.reported.length, length + 1)
    }
    assert.deepEqual(target.reported, [
      'retrying after NOT_CONNECTED',
      'retrying after NO_LEADER',
      'retrying after Error: odd',
      'a@7',
    ])
    assert.deepEqual([reflector.resyncs, target.gaps], [0, []], 'nothing was there that could have been missed')
  })

  test('lists once and immediately when history is compacted', async (t) => {
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 7)], [pageOf({ b: '1' }, 30)])
    reflector.start()
    await settled()
    source.progress(10)
    await settled()
    source.happen(batchOf(9, { a: '2' }))
    source.fail(compacted(20))
    await settled()
    assert.deepEqual(target.reported, ['a@7', '0 at 10', '1 at 9', 'b@30'])
    assert.deepEqual(target.gaps, [{ code: 'COMPACTED', fromRevision: 10, compactRevision: 20 }])
    assert.equal(source.watches.at(-1)?.startRevision, 31)
    assert.equal(reflector.resyncs, 1)
  })

  test('does not list repeatedly without a delay', async (t) => {
    const tick = mockTimers(t)
    let now = 0
    t.mock.method(performance, 'now', () => now)
    const { source, target, reflector } = createReflector(t)
    for (let revision = 10; revision < 14; revision += 1) source.listings.push([pageOf({}, revision)])
    reflector.start()
    await settled()
    source.fail(compacted(11))
    await settled()
    source.fail(compacted(12))
    await settled()
    assert.equal(reflector.state.kind, 'retrying')
    assert.deepEqual(target.reported, ['@10', '@11'])
    await tick(200)
    assert.equal(target.reported.length, 3)
    now += 5000
    source.fail(compacted(13))
    await settled()
    assert.equal(target.reported.length, 4, 'the watch before has lasted')
  })

  test('leaves no listener behind when a listing follows a watch', async (t) => {
    const { source, reflector } = createReflector(t)
    let followers = 0
    const { cluster } = source
    const onHistory = cluster.onHistory.bind(cluster)
    t.mock.method(cluster, 'onHistory', (follower: () => void) => {
      const leave = onHistory(follower)
      followers += 1
      return () => {
        followers -= 1
        leave()
      }
    })
    source.listings.push([pageOf({}, 10)], [pageOf({}, 20)])
    reflector.start()
    await settled()
    const listeners = (): number => getEventListeners(source.signals[0] ?? assert.fail(), 'abort').length
    const before = [followers, listeners()]
    source.fail(compacted(15))
    await settled()
    assert.deepEqual(
      [[followers, listeners()], before],
      [
        [1, 1],
        [1, 1],
      ],
    )
  })

  test('reports a watch that ends without an error', async (t) => {
    mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 7)])
    const { watch } = source
    source.watch = (range, options) => Object.assign(watch(range, options), { async *batches() {} })
    reflector.start()
    await settled()
    assert.deepEqual(target.reported, ['a@7', 'retrying after WATCH_CANCELED'])
  })

  test('fails permanently with a `TypeError`', async (t) => {
    const { source, reflector } = createReflector(t)
    source.listings.push(new TypeError('a mistake'))
    reflector.start()
    await settled()
    assert.equal(reflector.state.kind, 'failed')
  })

  test('remembers the gap across failed listings', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 7)], failure('NOT_CONNECTED'), [pageOf({ b: '1' }, 30)])
    reflector.start()
    await settled()
    source.fail(compacted(20))
    await settled()
    await tick(1000)
    assert.deepEqual(target.reported, ['a@7', 'retrying after NOT_CONNECTED', 'b@30'])
    assert.deepEqual(target.gaps, [{ code: 'COMPACTED', fromRevision: 7, compactRevision: 20 }])
  })

  for (const code of ['CLUSTER_CHANGED', 'REVISION_REWOUND'] as const) {
    test(`treats ${code} as another history, which may be behind`, async (t) => {
      const { source, target, reflector } = createReflector(t)
      source.listings.push([pageOf({ a: '1' }, 70)], [pageOf({ b: '1' }, 30)])
      reflector.start()
      await settled()
      source.fail(failure(code))
      await settled()
      assert.deepEqual(target.reported, ['a@70', 'other b@30'])
      assert.deepEqual(target.gaps, [{ code, fromRevision: 70, compactRevision: undefined }])
    })
  }

  test('lists immediately when another call detects that the cluster was restored', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 70)], [pageOf({ b: '1' }, 30)])
    reflector.start()
    await settled()
    source.restored(30)
    assert.equal(reflector.isOutdated, true)
    await settled()
    assert.deepEqual(target.reported, ['a@70', 'other b@30'])
    assert.deepEqual(target.gaps, [{ code: 'REVISION_REWOUND', fromRevision: 70, compactRevision: undefined }])
    assert.deepEqual([reflector.isOutdated, source.watches[0]?.signal.aborted], [false, true])
    source.listings.push([pageOf({ b: '1' }, 40)])
    source.fail(compacted(35))
    await settled()
    await tick(1000)
    assert.deepEqual([target.reported.at(-1), target.gaps.at(-1)?.code], ['b@40', 'COMPACTED'])
  })

  test('does not mix two histories when the cluster is restored during a listing', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 70)], [pageOf({ a: '2' }, 80), pageOf({ b: '1' }, 80)])
    reflector.start()
    await settled()
    source.listings.push([pageOf({ b: '1' }, 75)])
    source.midway = () => source.restored(75)
    source.fail(compacted(72))
    await settled()
    await tick(1000)
    assert.deepEqual(target.reported, ['a@70', 'retrying after REVISION_REWOUND', 'other b@75'])
    assert.deepEqual(target.gaps, [{ code: 'REVISION_REWOUND', fromRevision: 70, compactRevision: undefined }])
  })

  test('does not watch from a listing of a previous history', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 70)], [pageOf({ b: '1' }, 75)])
    target.listed = () => {
      target.listed = Target.prototype.listed
      source.restored(60)
    }
    reflector.start()
    await settled()
    await tick(1000)
    assert.deepEqual([target.reported.at(-1), source.watches.length], ['other b@75', 1])
  })

  test('rejects a listing that is behind what it has shown', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 70)], [pageOf({ old: '1' }, 69)], [pageOf({ a: '2' }, 71)])
    reflector.start()
    await settled()
    source.fail(compacted(68))
    await settled()
    await tick(1000)
    assert.deepEqual(target.reported, ['a@70', 'retrying after NO_LEADER', 'a@71'])
  })

  test('accepts a listing of the revision that it has shown', async (t) => {
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 70)], [pageOf({ a: '1' }, 70)])
    reflector.start()
    await settled()
    source.fail(compacted(71))
    await settled()
    assert.deepEqual(target.reported, ['a@70', 'a@70'])
  })

  test('accepts an older listing if the cluster is restored while it waits to list again', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 70)], [pageOf({ old: '1' }, 20)])
    reflector.start()
    await settled()
    source.fail(failure('WATCH_CANCELED'))
    await settled()
    source.restored(20)
    await tick(1000)
    assert.deepEqual(
      [target.reported.at(-1), target.gaps.map(({ code }) => code)],
      ['other old@20', ['REVISION_REWOUND']],
    )
  })

  test('reports a watch that ended for any other reason', async (t) => {
    const tick = mockTimers(t)
    const { source, target, reflector } = createReflector(t)
    source.listings.push([pageOf({ a: '1' }, 7)], [pageOf({ a: '1' }, 8)])
    reflector.start()
    await settled()
    source.fail(failure('WATCH_CANCELED'))
    await settled()
    await tick(1000)
    assert.deepEqual(target.reported, ['a@7', 'retrying after WATCH_CANCELED', 'a@8'])
    assert.equal(target.gaps[0]?.code, 'WATCH_CANCELED')
  })

  for (const code of ['PERMISSION_DENIED', 'AUTH_FAILED', 'CLOSED', 'INVALID_ARGUMENT'] satisfies ErrorCode[]) {
    test(`fails permanently with ${code}, of the listing or of the watch`, async (t) => {
      for (const ofWatch of [false, true]) {
        const { source, target, reflector } = createReflector(t)
        source.listings.push(ofWatch ? [pageOf({}, 7)] : failure(code))
        reflector.start()
        await settled()
        if (ofWatch) source.fail(failure(code))
        await settled()
        assert.equal(target.reported.at(-1), `failed by ${code}`)
        assert.equal(reflector.state.kind, 'failed')
        reflector.close()
        assert.equal(reflector.state.kind, 'failed')
      }
    })
  }

  test('leaves no timers or watches when it is closed while it lists, waits or watches', async (t) => {
    for (const [during, listing] of [
      ['listing', undefined],
      ['retrying', failure('NO_LEADER')],
      ['watching', [pageOf({ a: '1' }, 7)]],
    ] as const) {
      const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
      const before = timers()
      const { source, target, reflector } = createReflector(t)
      // More than one failure: on a busy machine, the first delay may have elapsed before this test looks.
      if (listing !== undefined) source.listings.push(...Array.from({ length: 5 }, () => listing))
      reflector.start()
      await settled()
      assert.equal(reflector.state.kind, during)
      source.happen(batchOf(8, { a: '2' }))
      const { length } = target.reported
      reflector.close()
      await settled()
      assert.equal(target.reported.length, length, 'nothing is reported afterwards')
      assert.equal(reflector.state.kind, 'closed')
      assert.ok(source.signals.at(-1)?.aborted)
      assert.ok(source.watches.every(({ signal }) => signal.aborted))
      assert.equal(timers(), before)
    }
  })

  test('stops waiting when its source closes, and fails with CLOSED', async (t) => {
    mockTimers(t)
    const client = new AbortController()
    const { source, target, reflector } = createReflector(t, client.signal)
    source.listings.push(failure('NO_LEADER'), failure('CLOSED'))
    reflector.start()
    await settled()
    assert.equal(reflector.state.kind, 'retrying')
    client.abort()
    await settled()
    assert.deepEqual(target.reported, ['retrying after NO_LEADER', 'failed by CLOSED'])
  })

  test('does not watch if it is closed before a listing ends', async (t) => {
    const { source, target, reflector } = createReflector(t)
    source.midway = () => reflector.close()
    source.listings.push([pageOf({ a: '1' }, 7)])
    reflector.start()
    await settled()
    assert.deepEqual([target.reported, source.watches], [[], []])
  })
})
