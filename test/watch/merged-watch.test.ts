import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { encodeRange } from '../../src/core/key-range.js'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
import { MergedWatch } from '../../src/watch/merged-watch.js'
import type { WatchSpec } from '../../src/watch/server-watch.js'
import { WatchMultiplexer } from '../../src/watch/watch-multiplexer.js'
import { WatchQueue } from '../../src/watch/watch-queue.js'
import { type FakeStream, FakeStreams, putEvent, settled } from './fake-streams.js'

const lost = new EtcdError('lost', { code: 'CONNECTION_LOST', effect: 'none' })

interface Setup extends Partial<Pick<WatchSpec, 'prevKv' | 'filters'>> {
  readonly start?: number
  readonly version?: string
  readonly max?: number
  readonly names?: readonly string[]
}

/** A watch of the keys a and b, on streams that answer what the test says. */
function watching({ start, version = '3.5.30', max = 100, names = ['a', 'b'], ...kind }: Setup = {}) {
  const streams = new FakeStreams()
  streams.serverVersion = version
  const multiplexer = new WatchMultiplexer({
    streams,
    events: { emit() {} },
    identity: new ClusterIdentity({ clusterChanged() {}, revisionRewound() {}, termRaised() {} }),
    currentRevision: async () => 1000,
  })
  const queue = new WatchQueue(
    { drained: () => merged.drained() },
    { maxBufferedEvents: max, progress: false, map: (same) => same },
  )
  const ranges = names.map(encodeRange)
  const spec = { prevKv: false, filters: [], ...kind }
  const merged = new MergedWatch({ multiplexer, queue, ranges, spec, maxBufferedEvents: max })
  merged.start(start)
  return { streams, multiplexer, queue, merged }
}

/** The same from revision 10 on, with an event of the first watcher that waits for the second one. */
async function waitingForOther(setup: Setup = {}) {
  const watched = watching({ start: 10, ...setup })
  await settled()
  const { last } = watched.streams
  last.created(1, 20)
  last.created(2, 20)
  last.events(1, 11)
  return { ...watched, last }
}

/** The revisions and event counts of what waits for the consumer. */
function taken(queue: WatchQueue): string[] {
  const all: string[] = []
  for (let batch = queue.takeNow(); batch !== undefined; batch = queue.takeNow()) {
    all.push(`${batch.revision}:${batch.events.length}`)
    queue.delivered(batch)
  }
  return all
}

/** Lets requests for progress wait in vain, on a member that answers other requests. */
function ignoreRequests(member: FakeStream, count: number): void {
  for (let index = 0; index < count; index += 1) {
    mock.timers.tick(100)
    member.created(member.creates.at(-1)?.watchId ?? 0, 20)
  }
}

describe('A merged watch', () => {
  test('delivers a revision when all watchers have passed it, by events or by progress', async () => {
    const { streams, queue, merged } = watching({ start: 10 })
    await settled()
    const { last } = streams
    last.created(1, 20)
    last.created(2, 20)
    assert.deepEqual(
      last.creates.map(({ startRevision }) => startRevision),
      [10, 10],
    )
    last.events(1, 11, 13)
    assert.deepEqual(taken(queue), [])
    last.events(2, 12, 13)
    assert.deepEqual(taken(queue), ['11:1', '12:1', '13:2'])
    last.events(1, 25)
    assert.deepEqual(taken(queue), [])
    assert.equal(last.progressRequests, 2)
    last.progress(26)
    assert.deepEqual(taken(queue), ['25:1'])
    assert.equal(queue.revision, 26)
    merged.end()
  })

  test('from now on starts after the last of its watchers was created', async () => {
    const { streams, queue, merged } = watching()
    await settled()
    const { last } = streams
    last.created(1, 20)
    last.events(1, 21)
    last.created(2, 22)
    assert.equal(await queue.ready, 22)
    last.events(1, 23)
    last.events(2, 24)
    last.events(1, 24)
    assert.deepEqual(taken(queue), ['23:1', '24:2'])
    merged.end()
  })

  test('from a revision on delivers what arrives before the last of its watchers is created', async () => {
    const { streams, queue, merged } = watching({ start: 10 })
    await settled()
    const { last } = streams
    last.created(1, 20)
    last.events(1, 11, 13)
    last.created(2, 20)
    last.events(2, 10, 13)
    assert.deepEqual(taken(queue), ['10:1', '11:1', '13:2'])
    merged.end()
  })

  test('from now on does not wait with a full buffer for its last watcher', async () => {
    const { streams, queue, merged } = watching({ max: 2 })
    await settled()
    const shared = streams.last
    shared.created(1, 20)
    shared.events(1, 21, 22)
    assert.deepEqual(shared.canceledIds, [1])
    shared.created(2, 30)
    await settled()
    assert.equal(await queue.ready, 30)
    assert.deepEqual(
      streams.last.creates.map(({ startRevision }) => startRevision),
      [23],
    )
    merged.end()
  })

  test('resumes each watcher where it was, and repeats nothing', async () => {
    const { streams, queue, merged } = watching({ start: 10 })
    await settled()
    streams.last.created(1, 20)
    streams.last.created(2, 20)
    streams.last.events(1, 11, 12)
    streams.last.end(lost)
    assert.equal(queue.state, 'reconnecting')
    await streams.openedAgain()
    assert.deepEqual(
      streams.last.creates.map(({ startRevision }) => startRevision),
      [13],
    )
    streams.last.created(1, 20)
    await settled()
    assert.deepEqual(
      streams.last.creates.map(({ startRevision }) => startRevision),
      [13, 10],
    )
    assert.equal(queue.state, 'reconnecting')
    streams.last.created(2, 20)
    assert.equal(queue.state, 'active')
    streams.last.events(2, 11, 14)
    streams.last.events(1, 15)
    assert.deepEqual(taken(queue), ['11:2', '12:1', '14:1'])
    assert.equal(queue.reconnects, 1)
    merged.end()
  })

  test('covers all ranges with one watcher on a member without reliable progress', async () => {
    const { last, queue, merged } = await waitingForOther({ version: '3.4.23' })
    await settled()
    const cover = last.creates.at(-1)
    assert.deepEqual([cover?.key?.toString(), cover?.rangeEnd?.toString(), cover?.startRevision], ['a', 'b\0', 10])
    assert.deepEqual(last.canceledIds, [1, 2])
    last.created(3, 20)
    last.answer({ watchId: 3, events: [putEvent(11, 'a'), putEvent(12, 'aa'), putEvent(13, 'b')] })
    assert.deepEqual(taken(queue), ['11:1', '13:1'])
    merged.end()
  })

  test('covers all ranges if requests for progress stay unanswered', async (t) => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    t.after(() => mock.timers.reset())
    const { last, merged } = await waitingForOther()
    ignoreRequests(last, 20)
    last.progress(11)
    last.events(1, 12)
    const asked = last.progressRequests
    ignoreRequests(last, 30)
    assert.deepEqual([last.progressRequests - asked, merged.parts.length], [30, 2])
    mock.timers.tick(100)
    assert.equal(merged.parts.length, 1)
    merged.end()
  })

  test('keeps its watchers when the member is frozen while events wait', async (t) => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    t.after(() => mock.timers.reset())
    const { last, queue, merged } = await waitingForOther()
    for (let index = 0; index < 60; index += 1) mock.timers.tick(100)
    last.progress(11)
    assert.deepEqual([merged.parts.length, taken(queue)], [2, ['11:1']])
    merged.end()
  })

  test('keeps its watchers through a long outage while events wait', async (t) => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    t.after(() => mock.timers.reset())
    const { streams, last, merged } = await waitingForOther()
    streams.failure = lost
    last.end(lost)
    for (let index = 0; index < 60; index += 1) mock.timers.tick(100)
    assert.equal(merged.parts.length, 2)
    merged.end()
  })

  test('asks each of its watchers for previous values, and with its filters', async () => {
    const { streams, merged } = watching({ start: 10, prevKv: true, filters: ['NODELETE'] })
    await settled()
    streams.last.created(1, 20)
    assert.deepEqual(
      streams.last.creates.map(({ key, prevKv, filters }) => [String(key), prevKv, filters]),
      ['a', 'b'].map((key) => [key, true, ['NODELETE']]),
    )
    merged.end()
  })

  test('orders revisions that all watchers have passed at once', async () => {
    const { streams, queue, merged } = watching({ start: 10, names: ['a', 'c', 'e'] })
    await settled()
    const { last } = streams
    for (const id of [1, 2, 3]) last.created(id, 20)
    last.events(1, 11, 13)
    last.events(2, 12, 14)
    last.progress(20, 3)
    assert.deepEqual(taken(queue), ['11:1', '12:1', '13:1'])
    merged.end()
  })

  test('holds back what its consumer has no room for', async () => {
    const { streams, queue, merged } = watching({ start: 10, max: 2 })
    await settled()
    const { last } = streams
    last.created(1, 20)
    last.created(2, 20)
    for (const revision of [11, 12]) for (const id of [1, 2]) last.events(id, revision)
    assert.deepEqual([queue.buffered, last.canceledIds], [2, []])
    last.events(1, 13)
    last.events(2, 13)
    assert.deepEqual([queue.buffered, last.canceledIds], [2, [1, 2]], 'the buffer of each watcher is full, too')
    assert.deepEqual(taken(queue), ['11:2', '12:2', '13:2'])
    merged.end()
  })

  test('has watchers whose buffer is full at 64 MiB', async () => {
    const { streams, merged } = watching({ start: 10 })
    await settled()
    const { last } = streams
    last.created(1, 20)
    last.created(2, 20)
    last.answer({ watchId: 1, events: [putEvent(11, 'a', 'x'.repeat(64 * 2 ** 20))] })
    assert.deepEqual(last.canceledIds, [1])
    merged.end()
  })

  test('moves off the shared stream while its buffer is full, and continues', async (t) => {
    const { streams, multiplexer, queue, merged } = watching({ start: 10, max: 2 })
    await settled()
    const shared = streams.last
    shared.created(1, 20)
    shared.created(2, 20)
    shared.events(1, 11, 12, 13)
    assert.deepEqual(shared.canceledIds, [1])
    shared.progress(12)
    await settled()
    assert.deepEqual(taken(queue), ['11:1', '12:1'])
    await settled()
    assert.deepEqual(
      streams.last.creates.map(({ startRevision }) => startRevision),
      [14],
    )
    streams.last.created(1, 20)
    shared.progress(20)
    assert.deepEqual(taken(queue), ['13:1'])
    const drained = t.mock.method(multiplexer, 'drained')
    streams.last.events(1, 15)
    assert.deepEqual(taken(queue), ['15:1'])
    assert.equal(drained.mock.callCount(), 0, 'it has kept up since')
    merged.end()
  })

  test('ends all watchers with the error of one, after what was delivered', async () => {
    const { streams, queue, multiplexer } = watching({ start: 10 })
    await settled()
    const { last } = streams
    last.created(1, 20)
    last.created(2, 20)
    last.events(1, 11)
    last.events(2, 11)
    last.answer({ watchId: 2, canceled: true, compactRevision: 15 })
    assert.deepEqual(taken(queue), ['11:2'])
    await assert.rejects(queue.take(), { code: 'COMPACTED' })
    assert.deepEqual(last.canceledIds, [1])
    multiplexer.close()
  })
})
