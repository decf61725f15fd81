import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EventIterator } from '../../src/watch/event-iterator.js'
import { batchesOf, type WatchBatch, WatchEvent } from '../../src/watch/watch-event.js'
import { WatchQueue } from '../../src/watch/watch-queue.js'
import { keyValue, putEvent, settled } from './fake-streams.js'

function batch(revision: number, count = 1, value = ''): WatchBatch {
  const [made] = batchesOf(
    Array.from({ length: count }, (_, index) => putEvent(revision, `key-${index}`, value)),
    0,
  )
  if (made === undefined) throw new Error('a batch has at least one event')
  return made
}

function queueWith({ maxBufferedEvents = 10, progress = false } = {}) {
  const drained: number[] = []
  let ended = 0
  const queue = new WatchQueue(
    { drained: ({ next }) => drained.push(next) },
    {
      maxBufferedEvents,
      progress,
      map: (same) => same,
      onEnded: () => {
        ended += 1
      },
    },
  )
  return { queue, drained, ended: () => ended }
}

async function giveNext(queue: WatchQueue): Promise<void> {
  const batch = await queue.take()
  if (batch !== undefined) queue.delivered(batch)
}

describe('A watch queue', () => {
  test('delivers batches in order, whether they arrive before or after `take()`', async () => {
    const { queue } = queueWith()
    queue.join(1)
    queue.onBatch(batch(1))
    queue.onBatch(batch(2))
    const asked = [queue.take(), queue.take(), queue.take(), queue.take()]
    queue.onBatch(batch(3))
    queue.onBatch(batch(4))
    const revisions = (await Promise.all(asked)).map((taken) => taken?.revision)
    assert.deepEqual(revisions, [1, 2, 3, 4])
  })

  test('is full at its limit of events, and reports room when half of them are taken', async () => {
    const { queue, drained } = queueWith({ maxBufferedEvents: 4 })
    queue.onBatch(batch(1, 3))
    assert.equal(queue.isFull, false)
    queue.onBatch(batch(2))
    queue.onBatch(batch(3))
    assert.deepEqual([queue.isFull, queue.buffered], [true, 5])
    for (let taken = 0; taken < 3; taken += 1) await queue.take()
    assert.deepEqual([queue.isFull, queue.buffered, drained], [false, 0, [4]])
  })

  test('is full at its limit of bytes, however few events there are', () => {
    const { queue, drained } = queueWith({ maxBufferedEvents: 1000 })
    const value = 'x'.repeat(1024 * 1024)
    for (let revision = 1; revision < 64; revision += 1) queue.onBatch(batch(revision, 1, value))
    assert.equal(queue.isFull, false)
    queue.onBatch(batch(64, 1, value))
    queue.onBatch(batch(65, 1, value))
    assert.equal(queue.isFull, true)
    for (let taken = 0; taken < 32; taken += 1) queue.takeNow()
    assert.deepEqual(drained, [])
    for (let taken = 0; taken < 2; taken += 1) queue.takeNow()
    assert.deepEqual(drained, [66])
  })

  test('counts keys and previous values towards its limit of bytes', () => {
    const { queue } = queueWith()
    const half = Buffer.alloc(32 * 1024 * 1024)
    const kv = keyValue({ modRevision: 2, key: half })
    queue.onBatch({ revision: 2, events: [new WatchEvent('put', kv, keyValue({ modRevision: 1, value: half }))] })
    assert.equal(queue.isFull, true)
  })

  test('reports how far its consumer is behind', async () => {
    const { queue } = queueWith()
    queue.join(10)
    queue.onCreated(9, 'm')
    assert.deepEqual([queue.revision, queue.lag], [9, 0])
    queue.onBatch(batch(12))
    queue.onBatch(batch(20))
    assert.deepEqual([queue.revision, queue.lag, queue.buffered], [9, 11, 2])
    await giveNext(queue)
    assert.deepEqual([queue.revision, queue.lag], [12, 8])
    await giveNext(queue)
    queue.onProgress(30)
    assert.deepEqual([queue.revision, queue.lag], [30, 0])
  })

  test('reports a revision as delivered only after all its events', async () => {
    const { queue } = queueWith()
    const iterator = new EventIterator(queue, async () => queue.close())
    queue.join(10)
    queue.onCreated(9, 'm')
    const early = iterator.next()
    await settled()
    queue.onBatch(batch(12, 3))
    queue.onProgress(20)
    assert.equal(queue.revision, 9, 'the consumer has not gone on yet')
    await early
    const revisions = [queue.revision]
    for (let count = 0; count < 2; count += 1) {
      await iterator.next()
      revisions.push(queue.revision)
    }
    assert.deepEqual(revisions, [9, 9, 20])
    queue.onBatch(batch(21, 2))
    queue.onBatch(batch(22))
    await iterator.next()
    await iterator.return()
    assert.equal(queue.revision, 20, 'what is dropped was not given')
    assert.equal(queue.state, 'ended')
  })

  test('does not report buffered batches as delivered when it is closed', async () => {
    const { queue } = queueWith()
    queue.join(10)
    queue.onCreated(9, 'm')
    queue.onBatch(batch(12))
    await giveNext(queue)
    queue.onBatch(batch(20))
    queue.close()
    assert.equal(queue.revision, 12)
  })

  test('keeps only the newest progress notification, and none without the option', async () => {
    const wanted = queueWith({ progress: true }).queue
    wanted.onBatch(batch(5))
    for (let revision = 6; revision < 1000; revision += 1) wanted.onProgress(revision)
    wanted.onBatch(batch(1000))
    const taken = [wanted.takeNow(), wanted.takeNow(), wanted.takeNow(), wanted.takeNow()]
    assert.deepEqual(
      taken.map((one) => one && [one.revision, one.events.length]),
      [[5, 1], [999, 0], [1000, 1], undefined],
    )
    wanted.onBatch({ revision: 2000, events: [], resync: true })
    wanted.onProgress(2001)
    assert.deepEqual([wanted.takeNow()?.resync, wanted.takeNow()?.revision], [true, 2001])
    const unwanted = queueWith().queue
    unwanted.onProgress(5)
    assert.equal(unwanted.takeNow(), undefined)
  })

  test('delivers buffered batches before the error that ended it, which it throws once', async () => {
    const { queue, ended } = queueWith()
    queue.onCreated(0, 'm')
    queue.onBatch(batch(1))
    queue.onEnd(new Error('over'))
    assert.equal((await queue.take())?.revision, 1)
    await assert.rejects(queue.take(), /over/)
    assert.equal(await queue.take(), undefined)
    assert.deepEqual([queue.state, queue.endpoint, ended()], ['ended', undefined, 1])
  })

  test('ends once if its consumer closes it before it takes the error', async () => {
    const { queue, ended } = queueWith()
    queue.onCreated(0, 'm')
    queue.onEnd(new Error('over'))
    queue.close()
    assert.deepEqual([await queue.take(), ended()], [undefined, 1])
  })

  test('rejects one waiting `take()` with the error, and ends the others', async () => {
    const { queue } = queueWith()
    const asked = [queue.take(), queue.take()]
    queue.onEnd(new Error('over'))
    const results = await Promise.allSettled(asked)
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    )
    assert.equal(await queue.take(), undefined)
  })

  test('ends at once when its consumer closes it, with all waiting calls', async () => {
    const { queue, ended } = queueWith()
    queue.onCreated(0, 'm')
    const asked = [queue.take(), queue.take()]
    queue.onBatch(batch(1))
    queue.onBatch(batch(2))
    queue.onBatch(batch(3))
    assert.deepEqual([(await asked[0])?.revision, (await asked[1])?.revision, queue.buffered], [1, 2, 1])
    queue.close()
    queue.close()
    assert.deepEqual([queue.state, queue.endpoint, queue.buffered], ['ended', undefined, 0])
    assert.equal(await queue.take(), undefined, 'buffered events are discarded')
    queue.onEnd(new Error('late'))
    assert.equal(await queue.take(), undefined)
    assert.equal(ended(), 1)
  })

  test('ends waiting calls when it is closed, also those of `ready`', async () => {
    const { queue } = queueWith()
    const asked = queue.take()
    queue.close()
    assert.equal(await asked, undefined)
    await assert.rejects(queue.ready, { code: 'CLOSED' })
  })

  test('counts reconnects, and is `connecting` before the first connection', () => {
    const { queue } = queueWith()
    queue.onLost(new Error('first attempt'))
    assert.deepEqual(
      [queue.state, queue.reconnects, String(queue.lastError)],
      ['connecting', 0, 'Error: first attempt'],
    )
    queue.onCreated(1, 'm')
    queue.onLost(new Error('lost'))
    queue.onLost(new Error('lost again'))
    assert.deepEqual([queue.state, queue.reconnects, queue.endpoint], ['reconnecting', 1, undefined])
    queue.onCreated(1, 'm')
    assert.deepEqual([queue.state, queue.endpoint], ['active', 'm'])
  })
})

describe('The event iterator', () => {
  test('serves concurrent calls of `next()` in order and without a loss', async () => {
    const { queue } = queueWith()
    const iterator = new EventIterator(queue, async () => queue.close())
    const asked = Array.from({ length: 6 }, () => iterator.next())
    await settled()
    queue.onBatch(batch(1, 3))
    queue.onBatch({ revision: 2, events: [] })
    queue.onBatch(batch(3, 2))
    queue.onBatch(batch(4))
    // Events are buffered for it, but others wait before it.
    const last = iterator.next()
    const results = await Promise.all(asked)
    queue.close()
    results.push(await last)
    assert.deepEqual(
      results.map(({ value }) => value && `${value.revision} ${value.keyText}`),
      ['1 key-0', '1 key-1', '1 key-2', '3 key-0', '3 key-1', '4 key-0', undefined],
    )
    assert.equal((await iterator.next()).done, true)
  })

  test('rejects one call with an error, and ends for the calls after it', async () => {
    const { queue } = queueWith()
    const iterator = new EventIterator(queue, async () => queue.close())
    const asked = [iterator.next(), iterator.next()]
    queue.onEnd(new Error('over'))
    await assert.rejects(asked[0] ?? Promise.resolve(), /over/)
    assert.equal((await asked[1])?.done, true)
  })
})
