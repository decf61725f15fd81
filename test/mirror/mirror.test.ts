import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { KeyRange } from '../../src/core/key-range.js'
import type { KeyValue } from '../../src/core/key-value.js'
import type { Operation } from '../../src/kv/operation.js'
import { differences } from '../../src/mirror/difference.js'
import { Mirror } from '../../src/mirror/mirror.js'
import {
  checkSides,
  type MirrorDestination,
  type MirrorOptions,
  type MirrorSource,
  planOf,
  rangeAfter,
} from '../../src/mirror/mirror-options.js'
import { decodeProgress, encodeProgress, type Progress } from '../../src/mirror/progress.js'
import { poll } from '../../src/testing/index.js'
import type { WatchBatch } from '../../src/watch/watch-event.js'
import { FakeWatch, failure } from '../informer/fake-source.js'
import { batchOf, kvOf, settled } from '../informer/fixtures.js'

const progressKey = 'etcdkit-mirror/p/'
const prefix = Buffer.from('p/')

interface Stored {
  readonly value: Buffer
  readonly modRevision: number
}

/** A destination in memory. It records the keys that each transaction writes; transactions can be made to fail. */
class Destination {
  readonly stored = new Map<string, Stored>()
  readonly txns: string[][] = []
  #revision = 0
  /** What the next transactions throw. */
  readonly failures: Error[] = []
  /** What the next reads of a key throw. */
  readonly readFailures: Error[] = []

  put(key: string, value: string | Buffer): void {
    this.#revision += 1
    this.stored.set(key, { value: Buffer.from(value), modRevision: this.#revision })
  }

  readonly destination = {
    list: (range: KeyRange) => listing(this.kvs(), range),
    get: async (key: Buffer, { mode }: { mode: string }) => {
      assert.equal(mode, 'linearizable')
      const failure = this.readFailures.shift()
      if (failure !== undefined) throw failure
      return this.kvs().find((kv) => kv.key.equals(key))
    },
    txn: () => {
      let operations: readonly Operation<unknown>[] = []
      const txn = {
        if: () => txn,
        then: (...ops: Operation<unknown>[]) => {
          operations = ops
          return txn
        },
        else: () => txn,
        commit: async () => this.#commit(operations),
      }
      return txn
    },
  } as unknown as MirrorDestination

  kvs(): KeyValue[] {
    const names = [...this.stored.keys()].sort()
    return names.map((name) => {
      const { value, modRevision } = this.stored.get(name) ?? assert.fail()
      return Object.assign(kvOf(name, '', modRevision), { value })
    })
  }

  get keys(): string[] {
    return [...this.stored.keys()].filter((key) => key !== progressKey).sort()
  }

  get progress(): unknown {
    const { stamp: _, ...rest } = JSON.parse(this.stored.get(progressKey)?.value.toString() ?? '{}')
    return rest
  }

  #commit(operations: readonly Operation<unknown>[]): object {
    const failure = this.failures.shift()
    if (failure !== undefined) throw failure
    const keys = operations.map(({ request }) => {
      const { requestPut, requestDeleteRange } = request
      const key = Buffer.from(requestPut?.key ?? requestDeleteRange?.key ?? '').toString()
      if (requestPut === undefined) this.stored.delete(key)
      else this.put(key, Buffer.from(requestPut.value ?? ''))
      return key
    })
    this.txns.push(keys.slice(0, -1))
    return { succeeded: true, revision: this.#revision, responses: [] }
  }
}

async function* listing(kvs: readonly KeyValue[], range: KeyRange): AsyncGenerator<KeyValue> {
  const { prefix: start, from, to } = Object(range)
  for (const kv of kvs) {
    const { key } = kv
    if (start !== undefined && !key.subarray(0, start.length).equals(start)) continue
    if (from !== undefined && (Buffer.compare(key, from) < 0 || Buffer.compare(key, to) >= 0)) continue
    yield kv
  }
}

/** A mirror of `p/`, whose source has these keys at revision 50. */
function mirroring(t: TestContext, keys: readonly string[], options: MirrorOptions = {}, to = new Destination()) {
  const revisions: unknown[] = []
  const watches: (FakeWatch & { closed: boolean })[] = []
  const source = {
    list: (range: KeyRange, { revision }: { revision?: number }) => {
      revisions.push(revision)
      return listing(
        keys.map((key) => kvOf(key, 'value', 5)),
        range,
      )
    },
    range: async () => ({ clusterId: 'c1', revision: 50 }),
    watch: (_: KeyRange, options: { startRevision: number; progress: boolean; signal: AbortSignal }) => {
      assert.equal(options.progress, true)
      const watch = Object.assign(new FakeWatch(options.startRevision, options.signal), { closed: false })
      watches.push(watch)
      const close = async (): Promise<void> => {
        watch.closed = true
      }
      return Object.assign(watch, { close })
    },
  } as unknown as MirrorSource
  const mirror = new Mirror({ source, destination: to.destination }, 'p/', options)
  t.after(() => mirror.close())
  return { mirror, to, revisions, watches }
}

/** The names of the events that a mirror emits from now on. */
function eventsOf(mirror: Mirror): string[] {
  const events: string[] = []
  for (const name of ['synced', 'resync', 'retrying', 'failed'] as const) mirror.on(name, () => events.push(name))
  return events
}

function stored(progress: Progress): string {
  return encodeProgress(progress, prefix, 'stamp')
}

describe('A mirror', () => {
  test('leaves keys of the destination that the source does not have, when it starts', async (t) => {
    const to = new Destination()
    to.put('p/own', '')
    to.put('p/b', 'value')
    const { mirror, revisions } = mirroring(t, ['p/a', 'p/b'], {}, to)
    const events = eventsOf(mirror)
    assert.equal(await mirror.synced(), 50)
    assert.deepEqual([events, mirror.state], [['synced'], { kind: 'watching', revision: 50 }])
    assert.deepEqual(to.txns, [['p/a']], 'equal keys are not written')
    assert.deepEqual([to.keys, revisions], [['p/a', 'p/b', 'p/own'], [50]])
    assert.deepEqual(to.progress, {
      source: prefix.toString('base64'),
      clusterId: 'c1',
      phase: 'following',
      revision: 50,
    })
  })

  for (const deletes of [true, false]) {
    test(`continues a comparison that ${deletes ? 'deletes' : 'deletes nothing'} after the last key that was compared`, async (t) => {
      const to = new Destination()
      for (const key of ['p/a', 'p/b\0', 'p/c']) to.put(key, 'other')
      to.put(progressKey, stored({ phase: 'listing', clusterId: 'c1', revision: 40, after: Buffer.from('b'), deletes }))
      const { mirror, revisions } = mirroring(t, ['p/0', 'p/b', 'p/b\0\0', 'p/d'], {}, to)
      await mirror.synced()
      assert.deepEqual(revisions, [40])
      assert.deepEqual(to.keys, deletes ? ['p/a', 'p/b\0\0', 'p/d'] : ['p/a', 'p/b\0', 'p/b\0\0', 'p/c', 'p/d'])
    })
  }

  test('compares both sides, deletes, and follows again after a gap with `onCompacted: "resync"`', async (t) => {
    const { mirror, to, watches } = mirroring(t, ['p/a'], { onCompacted: 'resync' })
    await mirror.synced()
    to.put('p/gone', '')
    watches[0]?.feed(failure('COMPACTED'))
    await poll('it follows again', () => watches[1])
    assert.deepEqual([to.keys, watches[0]?.closed], [['p/a'], true])
    to.put('p/own', '')
    watches[1]?.feed(failure('NO_LEADER'))
    await poll('it follows once more', () => watches[2])
    assert.deepEqual([to.keys, watches[2]?.startRevision], [['p/a', 'p/own'], 51])
  })

  test('repeats a revision of several transactions from its beginning, and splits by operations and bytes', async (t) => {
    const { mirror, to, watches } = mirroring(t, [], { maxTxnOps: 3 })
    await mirror.synced()
    const values = { 'p/1': '', 'p/2': '', 'p/3': '' }
    to.txns.length = 0
    // The second transaction fails for good.
    const { destination } = to
    const { txn } = destination
    destination.txn = () => {
      if (to.txns.length === 1) to.failures.push(failure('MIRROR_CONFLICT'))
      return txn()
    }
    watches[0]?.feed(batchOf(60, values))
    const events = eventsOf(mirror)
    await assert.rejects(mirror.synced(60), { code: 'MIRROR_CONFLICT' })
    assert.deepEqual([events, mirror.state.kind], [['failed'], 'failed'])
    await assert.rejects(mirror.synced(), { code: 'MIRROR_CONFLICT' })
    assert.deepEqual(to.txns, [['p/1', 'p/2']])
    assert.equal((to.progress as Progress).revision, 59)

    const next = mirroring(t, [])
    await next.mirror.synced()
    next.to.txns.length = 0
    const mib = 'x'.repeat(700 * 1024)
    next.watches[0]?.feed(batchOf(60, { 'p/1': mib, 'p/2': mib, 'p/3': '', 'p/4': '' }))
    await next.mirror.synced(60)
    assert.deepEqual(next.to.txns, [['p/1'], ['p/2', 'p/3', 'p/4']])
  })

  test('writes its progress with changes, and once a minute without them', async (t) => {
    const { mirror, to, watches } = mirroring(t, ['p/a'])
    await mirror.synced()
    const { length } = to.txns
    const quiet: WatchBatch = { revision: 70, events: [] }
    const reached = [mirror.synced(70), mirror.synced(80)]
    watches[0]?.feed(quiet)
    await reached[0]
    assert.equal(to.txns.length, length)
    const asked = watches[0]?.asked ?? 0
    await new Promise((resolve) => setTimeout(resolve, 250))
    assert.ok((watches[0]?.asked ?? 0) > asked, 'it requests progress while a caller waits')
    watches[0]?.feed({ revision: 80, events: [] })
    await reached[1]
    const now = performance.now.bind(performance)
    t.mock.method(performance, 'now', () => now() + 61_000)
    watches[0]?.feed({ revision: 90, events: [] })
    await mirror.synced(90)
    assert.equal((to.progress as Progress).revision, 90)
  })

  test('compares both sides again if the destination is compacted while it is read, and that is no gap of the source', async (t) => {
    const to = new Destination()
    to.readFailures.push(failure('COMPACTED'))
    const { mirror } = mirroring(t, ['p/a'], {}, to)
    const events = eventsOf(mirror)
    await mirror.synced()
    assert.deepEqual([events, to.keys], [['retrying', 'synced'], ['p/a']])
  })

  test('is awaited for 10 s by default, and no longer than its caller wants', async (t) => {
    const { mirror } = mirroring(t, [])
    await mirror.synced()
    const reason = new Error('enough')
    await assert.rejects(mirror.synced(99, { signal: AbortSignal.abort(reason) }), reason)
    const controller = new AbortController()
    const aborted = mirror.synced(99, { signal: controller.signal })
    controller.abort(reason)
    await assert.rejects(aborted, reason)
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    let isOver = false
    const waiting = mirror.synced(99).finally(() => {
      isOver = true
    })
    const late = assert.rejects(waiting, { code: 'DEADLINE_EXCEEDED', message: /did not reach revision 99 in time/ })
    await settled()
    t.mock.timers.tick(9999)
    await settled()
    assert.equal(isOver, false)
    t.mock.timers.tick(1)
    await late
  })

  test('begins with the shortest pause again after each progress', async (t) => {
    const { mirror, watches } = mirroring(t, [])
    await mirror.synced()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    for (let round = 0; round < 6; round += 1) {
      watches[round]?.feed(batchOf(50, { 'p/a': String(round) }))
      await settled()
      watches[round]?.feed(failure('NO_LEADER'))
      await settled()
      assert.match(String(mirror.state.kind === 'retrying' && mirror.state.error), /NO_LEADER/)
      t.mock.timers.tick(100)
      await settled()
      assert.equal(watches.length, round + 2)
    }
  })

  test('adds the ID of the source to a progress that was stored without it', async (t) => {
    const to = new Destination()
    to.put(progressKey, stored({ phase: 'following', clusterId: undefined, revision: 40 }))
    const { mirror, watches } = mirroring(t, [], {}, to)
    await mirror.synced()
    watches[0]?.feed(batchOf(41, { 'p/a': '' }))
    await mirror.synced(41)
    assert.equal((to.progress as Progress).clusterId, 'c1')
  })

  test('that is awaited in vain has the failure that it retries as the reason', async (t) => {
    const to = new Destination()
    const noLeader = failure('NO_LEADER')
    to.readFailures.push(...Array.from({ length: 9 }, () => noLeader))
    const { mirror } = mirroring(t, [], {}, to)
    await assert.rejects(mirror.synced(0, { timeoutMs: 30 }), { code: 'DEADLINE_EXCEEDED', cause: noLeader })
  })

  test('never copies a key to its progress key', async (t) => {
    const { mirror, to } = mirroring(t, ['p/a', 'p/progress'], { progressKey: 'p/progress' })
    await mirror.synced()
    assert.deepEqual(to.txns.flat(), ['p/a'])
  })

  test('fails if the progress is that of another prefix', async (t) => {
    const to = new Destination()
    const progress = { phase: 'following', clusterId: 'c1', revision: 40 } as const
    to.put(progressKey, encodeProgress(progress, Buffer.from('other/'), 'stamp'))
    await assert.rejects(mirroring(t, [], {}, to).mirror.synced(), { code: 'DECODE_FAILED', message: /"other\/"/ })
  })
})

describe('The comparison of both sides', () => {
  test('ends the listings of both when it is left', async () => {
    const ended: string[] = []
    const side = (name: string) => ({
      prefixLength: 0,
      kvs: (async function* () {
        try {
          yield* [kvOf(`${name}1`, '', 1), kvOf(`${name}2`, '', 1)]
        } finally {
          ended.push(name)
        }
      })(),
    })
    for await (const _ of differences(side('a'), side('b'))) break
    assert.deepEqual(ended.sort(), ['a', 'b'])
  })
})

describe('The plan of a mirror', () => {
  test('continues after a key up to the end of the prefix, which may have none', () => {
    const after = Buffer.from('b')
    const next = (start: string) => Buffer.from(`${start}b\0`)
    assert.deepEqual(rangeAfter(Buffer.from('p/'), undefined), { prefix: Buffer.from('p/') })
    assert.deepEqual(rangeAfter(Buffer.from('p/'), after), { from: next('p/'), to: Buffer.from('p0') })
    assert.deepEqual(rangeAfter(Buffer.alloc(0), after), { from: next('') })
    const last = Buffer.from([0xff])
    assert.deepEqual(rangeAfter(last, after), { from: Buffer.concat([last, Buffer.from('b\0')]) })
  })

  test('has 128 operations for each transaction, and at least two', () => {
    assert.equal(planOf('p/', {}).maxTxnOps, 128)
    assert.equal(planOf('p/', { maxTxnOps: 2 }).maxTxnOps, 2)
    assert.throws(() => planOf('p/', { maxTxnOps: 1 }), /`maxTxnOps` must be at least 2/)
  })

  test('never copies a keyspace into itself', () => {
    const side = { txn: () => {} }
    for (const destinationPrefix of ['p/', 'p/copy/', 'p', '']) {
      assert.throws(() => checkSides(side, side, 'p/', { destinationPrefix }), /must not overlap/, destinationPrefix)
    }
    checkSides(side, side, 'p/', { destinationPrefix: 'q/' })
    checkSides(side, { ...side }, 'p/', {})
  })

  test('reads the progress that was written, and nothing else', () => {
    const following: Progress = { phase: 'following', clusterId: 'c1', revision: 7 }
    const listing: Progress = { phase: 'listing', clusterId: 'c1', revision: 7, after: Buffer.from('b'), deletes: true }
    for (const progress of [following, listing]) assert.deepEqual(decodeProgress(stored(progress), prefix), progress)
    for (const revision of [0, -1, 1.5]) {
      assert.throws(() => decodeProgress(stored({ ...following, revision }), prefix), { code: 'DECODE_FAILED' })
    }
  })
})
