import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CompactedError, type ErrorCode, EtcdError } from '../../src/core/errors.js'
import type { KeyValue } from '../../src/core/key-value.js'
import type { History } from '../../src/transport/connection/cluster-identity.js'
import { EventIterator } from '../../src/watch/event-iterator.js'
import { type RangePages, ResyncQueue } from '../../src/watch/resync-queue.js'
import { batchesOf, type WatchBatch, WatchEvent } from '../../src/watch/watch-event.js'
import { keyValue, putEvent, settled } from './fake-streams.js'

interface Setup {
  readonly pages: RangePages
  readonly only?: 'put'
  readonly closing?: AbortSignal
  readonly history?: () => History
}

const sameHistory: History = { after: undefined }

function queueWith({ pages, only, closing = new AbortController().signal, history = () => sameHistory }: Setup) {
  const resumed: number[] = []
  const resume = (_: unknown, revision: number): void => {
    resumed.push(revision)
  }
  const map = (same: WatchBatch): WatchBatch => same
  const options = { maxBufferedEvents: 1000, progress: false, map, only, source: { pages, resume, closing, history } }
  return { queue: new ResyncQueue({ drained: () => {} }, options), resumed }
}

function pagesOf(revision: number, ...kvs: KeyValue[]): RangePages {
  return async function* () {
    for (const kv of kvs) yield { kvs: [kv], revision }
    yield { kvs: [], revision }
  }
}

function written(name: string, modRevision: number): KeyValue {
  return keyValue({ name, modRevision, createRevision: 1 })
}

function put(queue: ResyncQueue, name: string, revision: number): void {
  for (const batch of batchesOf([putEvent(revision, name)], 0)) queue.onBatch(batch)
}

function deleted(queue: ResyncQueue, name: string, revision: number): void {
  queue.onBatch({ revision, events: [new WatchEvent('delete', written(name, revision), undefined)] })
}

function shown(batch: WatchBatch | undefined): unknown {
  return batch && [batch.revision, batch.resync, ...batch.events.map((e) => `${e.type} ${e.keyText} ${e.revision}`)]
}

const compacted = new CompactedError('compacted', { effect: 'none', compactRevision: 90 })

/** Has received of a, b and c, of which c is gone again, up to revision 13. */
function toldOfThree(setup: Setup) {
  const made = queueWith(setup)
  made.queue.join(10)
  made.queue.onCreated(9, 'm')
  put(made.queue, 'a', 10)
  put(made.queue, 'b', 11)
  put(made.queue, 'c', 12)
  deleted(made.queue, 'c', 13)
  for (let batch = made.queue.takeNow(); batch !== undefined; batch = made.queue.takeNow()) made.queue.delivered(batch)
  return made
}

describe('A resync queue', () => {
  test('delivers the difference to a listing in one batch, and continues after its revision', async () => {
    const kvs = [written('a', 10), written('d', 95), written('e', 50), written('f', 5), written('g', 14)]
    const pages = pagesOf(100, ...kvs)
    const { queue, resumed } = toldOfThree({ pages })
    queue.onEnd(compacted)
    assert.equal(queue.state, 'reconnecting')
    assert.deepEqual(shown(await queue.take()), [100, true, 'delete b 11', 'put g 14', 'put e 50', 'put d 95'])
    assert.deepEqual([resumed, queue.next], [[101], 101])
  })

  test('compares the second listing with the first', async () => {
    const listings = [[written('a', 10), written('d', 95)], [written('a', 120)]]
    const pages: RangePages = (options) =>
      pagesOf(listings.length === 2 ? 100 : 200, ...(listings.shift() ?? []))(options)
    const { queue } = toldOfThree({ pages })
    queue.onEnd(compacted)
    await queue.take()
    queue.onEnd(compacted)
    assert.deepEqual(shown(await queue.take()), [200, true, 'delete d 95', 'put a 120'])
  })

  test('delivers an empty batch after a gap without changes', async () => {
    const { queue } = toldOfThree({ pages: pagesOf(100, written('a', 10), written('b', 11)) })
    queue.onEnd(compacted)
    assert.deepEqual(shown(await queue.take()), [100, true])
  })

  test('has delivered an empty batch when the iteration goes on', async () => {
    const { queue } = toldOfThree({ pages: pagesOf(100, written('a', 10), written('b', 11)) })
    const next = new EventIterator(queue, async () => queue.close()).next()
    queue.onEnd(compacted)
    await settled()
    assert.equal(queue.revision, 100)
    queue.close()
    await next
  })

  test('reports the revision of the listing only after its consumer has received the difference', async () => {
    const { queue } = toldOfThree({ pages: pagesOf(100, written('a', 10), written('d', 95), written('e', 50)) })
    queue.onEnd(compacted)
    await settled()
    queue.join(101)
    queue.onCreated(100, 'm')
    queue.onProgress(110)
    const iterator = new EventIterator(queue, async () => queue.close())
    const revisions = [queue.revision]
    for (const expected of ['b', 'e', 'd']) {
      assert.equal((await iterator.next()).value?.keyText, expected)
      revisions.push(queue.revision)
    }
    assert.deepEqual(revisions, [13, 13, 13, 110])
  })

  for (const after of ['REVISION_REWOUND', 'CLUSTER_CHANGED'] as const) {
    test(`fails if the cluster has another history, after ${after}`, async () => {
      let history: History = sameHistory
      const pages: RangePages = async function* () {
        yield { kvs: [written('a', 10)], revision: 100 }
        history = { after }
      }
      const { queue, resumed } = toldOfThree({ pages, history: () => history })
      queue.onEnd(compacted)
      await assert.rejects(queue.take(), { code: after })
      assert.deepEqual(resumed, [])
    })
  }

  test('delivers no deletions with the option `only: put`', async () => {
    const { queue } = toldOfThree({ pages: pagesOf(100, written('d', 95)), only: 'put' })
    queue.onEnd(compacted)
    assert.deepEqual(shown(await queue.take()), [100, true, 'put d 95'])
  })

  test('lists again after a failure, and drops the pages of a restarted listing', async () => {
    let attempts = 0
    const pages: RangePages = async function* ({ onRestart }) {
      attempts += 1
      if (attempts === 1) throw new EtcdError('no member', { code: 'NOT_CONNECTED', effect: 'none' })
      yield { kvs: [written('void', 98)], revision: 99 }
      onRestart()
      yield { kvs: [written('a', 10), written('b', 99)], revision: 100 }
    }
    const { queue } = toldOfThree({ pages })
    queue.onEnd(compacted)
    assert.deepEqual(shown(await queue.take()), [100, true, 'put b 99'])
  })

  test('fails with a permanent error of a listing, and with any other end of the watch', async () => {
    const pages: RangePages = async function* () {
      yield { kvs: [], revision: 1 }
      throw new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' })
    }
    const { queue } = toldOfThree({ pages })
    queue.onEnd(compacted)
    await assert.rejects(queue.take(), { code: 'PERMISSION_DENIED' })
    const other = toldOfThree({ pages: pagesOf(100) }).queue
    other.onEnd(new EtcdError('closed', { code: 'CLOSED', effect: 'none' }))
    await assert.rejects(other.take(), { code: 'CLOSED' })
  })

  test('stops listing when it is closed or fails', async () => {
    const signals: AbortSignal[] = []
    const pages: RangePages = async function* ({ signal }) {
      signals.push(signal)
      yield { kvs: [], revision: 100 }
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const [closed, ended] = [toldOfThree({ pages }), toldOfThree({ pages })]
    for (const { queue } of [closed, ended]) queue.onEnd(compacted)
    await settled()
    closed.queue.close()
    ended.queue.onEnd(new Error('aborted'))
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true],
    )
    assert.equal(await closed.queue.take(), undefined)
    await assert.rejects(ended.queue.take(), /aborted/)
    assert.deepEqual([closed.resumed, ended.resumed], [[], []])
  })

  test('does not continue when it is closed during a listing that ends nevertheless', async () => {
    let finish = (): void => {}
    const pages: RangePages = async function* () {
      await new Promise<void>((resolve) => (finish = resolve))
      yield { kvs: [], revision: 100 }
    }
    const { queue, resumed } = toldOfThree({ pages })
    queue.onEnd(compacted)
    queue.close()
    finish()
    await settled()
    assert.deepEqual([resumed, queue.buffered], [[], 0])
  })

  test('fails with the reason of its signal, also if that is a `CompactedError`', async () => {
    const { queue, resumed } = toldOfThree({ pages: pagesOf(100) })
    queue.fail(compacted)
    await settled()
    await assert.rejects(queue.take(), { code: 'COMPACTED' })
    assert.deepEqual(resumed, [])
  })

  test('ends its backoff when the client closes', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const codes: ErrorCode[] = ['NOT_CONNECTED', 'CLOSED']
    const pages: RangePages = async function* () {
      yield { kvs: [], revision: 1 }
      throw new EtcdError('no listing', { code: codes.shift() ?? 'UNKNOWN', effect: 'none' })
    }
    const client = new AbortController()
    const { queue } = toldOfThree({ pages, closing: client.signal })
    queue.onEnd(compacted)
    await settled()
    assert.equal(codes.length, 1, 'it waits before it lists again')
    client.abort()
    await assert.rejects(queue.take(), { code: 'CLOSED' })
  })
})
