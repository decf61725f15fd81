import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
import type { WatchBatch } from '../../src/watch/watch-event.js'
import { WatchMultiplexer, type WatchMultiplexerHost } from '../../src/watch/watch-multiplexer.js'
import { WatchQueue } from '../../src/watch/watch-queue.js'
import { header } from '../support/fake-transport.js'
import { type FakeStream, FakeStreams, settled, specFor } from './fake-streams.js'

interface Setup {
  seen?: number
  readonly identity?: ClusterIdentity
  readonly currentRevision?: () => Promise<number>
  onEvent?: (name: string) => void
}

/** What a client knows that has seen a revision. */
function identityAt(revision = 0): ClusterIdentity {
  const identity = new ClusterIdentity({ clusterChanged() {}, revisionRewound() {}, termRaised() {} })
  if (revision > 0) identity.observe(header({ revision }), 'm', 0)
  return identity
}

function multiplexerWith(setup: Setup = {}) {
  const { currentRevision = async () => 1000 } = setup
  const streams = new FakeStreams()
  const events: string[] = []
  const host: WatchMultiplexerHost = {
    streams,
    events: {
      emit: (name) => {
        events.push(name)
        setup.onEvent?.(name)
      },
    },
    currentRevision,
    identity: setup.identity ?? identityAt(setup.seen),
  }
  return { multiplexer: new WatchMultiplexer(host), streams, events }
}

interface Subscription {
  readonly start?: number
  readonly maxBufferedEvents?: number
  readonly name?: string
}

function subscribe(
  multiplexer: WatchMultiplexer,
  { start, maxBufferedEvents = 100, name = 'key' }: Subscription = {},
): WatchQueue {
  const queue = new WatchQueue(multiplexer, { maxBufferedEvents, progress: false, map: (same: WatchBatch) => same })
  multiplexer.subscribe(specFor(name), start, queue)
  return queue
}

/** The revisions that wait in a queue. */
function taken(queue: WatchQueue): number[] {
  const revisions: number[] = []
  for (let batch = queue.takeNow(); batch !== undefined; batch = queue.takeNow()) revisions.push(batch.revision)
  return revisions
}

function revisionsOf(batches: readonly (WatchBatch | undefined)[]): (number | undefined)[] {
  return batches.map((batch) => batch?.revision)
}

function starts(stream: FakeStream): (number | undefined)[] {
  return stream.creates.map(({ startRevision }) => startRevision)
}

function refuse(stream: FakeStream, text: string): void {
  stream.answer({ watchId: -1, created: true, canceled: true, cancelReason: text })
}

describe('The watch multiplexer', () => {
  test('shares one watcher among equal watches without a start revision', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const queues = [subscribe(multiplexer), subscribe(multiplexer)]
    await settled()
    streams.last.created(1, 100)
    queues.push(subscribe(multiplexer))
    streams.last.events(1, 101)
    assert.deepEqual([starts(streams.last), streams.opened.length], [[0], 1])
    assert.deepEqual(queues.map(taken), [[101], [101], [101]])
    const [first, ...others] = queues
    for (const queue of others) multiplexer.unsubscribe(queue)
    const at = queues.map((queue) => multiplexer.lastMessageAt(queue) > 0)
    assert.deepEqual([streams.last.isCanceled, at], [false, [true, false, false]])
    if (first !== undefined) multiplexer.unsubscribe(first)
    assert.equal(streams.last.isCanceled, true)
  })

  test('starts a joining watch after the revisions that the client has seen', async () => {
    const identity = identityAt(0)
    const { multiplexer, streams } = multiplexerWith({ identity })
    const first = subscribe(multiplexer)
    await settled()
    streams.last.created(1, 100)
    streams.last.events(1, 104)
    identity.observe(header({ revision: 105 }), 'm', 0)
    const second = subscribe(multiplexer)
    streams.last.events(1, 105)
    streams.last.events(1, 106)
    assert.deepEqual([taken(first), taken(second)], [[104, 105, 106], [106]])
  })

  test('creates a separate watcher for an older start revision until it has caught up', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const live = subscribe(multiplexer)
    await settled()
    const late = subscribe(multiplexer, { start: 10 })
    streams.last.created(1, 100)
    streams.last.created(2, 100)
    assert.deepEqual(starts(streams.last), [0, 10])
    streams.last.events(1, 101)
    streams.last.events(2, 20, 30)
    assert.deepEqual(streams.last.canceledIds, [])
    streams.last.events(2, 101)
    assert.deepEqual(streams.last.canceledIds, [2], 'the late one has joined')
    streams.last.events(2, 102)
    streams.last.events(1, 102)
    assert.deepEqual(
      [taken(live), taken(late)],
      [
        [101, 102],
        [20, 30, 101, 102],
      ],
    )
  })

  test('loses and repeats no events when the separate watcher is ahead of the shared one', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const live = subscribe(multiplexer)
    await settled()
    streams.last.created(1, 100)
    const late = subscribe(multiplexer, { start: 10 })
    streams.last.created(2, 100)
    streams.last.events(2, 101, 102)
    streams.last.events(1, 101)
    streams.last.events(1, 102, 103)
    assert.deepEqual(
      [taken(live), taken(late)],
      [
        [101, 102, 103],
        [101, 102, 103],
      ],
    )
  })

  test('lets a watch with a future start revision join, and delivers nothing older to it', async () => {
    const { multiplexer, streams } = multiplexerWith()
    subscribe(multiplexer)
    await settled()
    streams.last.created(1, 100)
    const future = subscribe(multiplexer, { start: 110 })
    streams.last.events(1, 105, 110)
    assert.deepEqual([taken(future), streams.last.creates.length], [[110], 1])
    assert.equal(await future.ready, 109)
  })

  test('keeps a subscriber that needs no compacted revisions when the shared watcher is compacted', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const old = subscribe(multiplexer, { start: 10 })
    // The compact revision itself is kept.
    const atCompaction = subscribe(multiplexer, { start: 50 })
    const newer = subscribe(multiplexer, { start: 60 })
    await settled()
    assert.deepEqual(starts(streams.last), [10], 'they share a watcher')
    streams.last.created(1, 100)
    streams.last.answer({ watchId: 1, canceled: true, compactRevision: 50, header: header({ revision: 0 }) })
    await assert.rejects(old.take(), { code: 'COMPACTED', compactRevision: 50 })
    await settled()
    assert.deepEqual(starts(streams.last), [50])
    streams.last.created(1, 100)
    streams.last.events(1, 50, 60, 61)
    assert.deepEqual(
      [taken(atCompaction), taken(newer)],
      [
        [50, 60, 61],
        [60, 61],
      ],
    )
    const isServed = [old, atCompaction, newer].map((queue) => multiplexer.lastMessageAt(queue) > 0)
    const next = [atCompaction.take(), newer.take()]
    streams.last.events(1, 62)
    assert.deepEqual(
      [isServed, await Promise.all(next).then(revisionsOf)],
      [
        [false, true, true],
        [62, 62],
      ],
    )
  })

  test('creates all watchers on the next stream, each after the last revision that it has received', async () => {
    const { multiplexer, streams, events } = multiplexerWith()
    const [a, b] = [subscribe(multiplexer, { name: 'a' }), subscribe(multiplexer, { name: 'b', start: 50 })]
    await settled()
    streams.last.created(1, 100)
    streams.last.created(2, 100)
    streams.last.events(2, 70)
    streams.last.end()
    const joining = subscribe(multiplexer, { name: 'a' })
    assert.deepEqual([a.state, b.state, joining.state], ['reconnecting', 'reconnecting', 'connecting'])
    await streams.openedAgain()
    streams.last.created(1, 100)
    assert.deepEqual([streams.opened.length, starts(streams.last)], [2, [101, 71]])
    streams.last.created(2, 100)
    assert.deepEqual([a.state, a.reconnects, b.endpoint], ['active', 1, 'http://m1'])
    streams.last.events(2, 70, 71)
    assert.deepEqual(taken(b), [70, 71])
    assert.deepEqual(events, ['watchLost', 'watchResumed'])
    multiplexer.close()
  })

  test('allows listeners to start and close watches', async () => {
    for (const leave of [(member: FakeStream) => member.end(), (member: FakeStream) => member.leave()]) {
      const setup: Setup = {}
      const { multiplexer, streams } = multiplexerWith(setup)
      const first = subscribe(multiplexer, { name: 'a' })
      await settled()
      streams.last.created(1, 100)
      const made: WatchQueue[] = []
      setup.onEvent = (name) => {
        if (name === 'watchLost') made.push(subscribe(multiplexer, { name: 'b' }))
        else made.push(...(first.state === 'active' ? [subscribe(multiplexer, { name: 'c' })] : []))
      }
      const [old] = streams.opened
      leave(streams.last)
      if (streams.last === old) await streams.openedAgain()
      await settled()
      streams.last.created(1, 100)
      streams.last.created(2, 100)
      streams.last.created(3, 100)
      assert.deepEqual(
        [first, ...made].map(({ state }) => state),
        ['active', 'active', 'active'],
      )
      assert.deepEqual([streams.opened.length, starts(streams.last)], [2, [101, 0, 0]])
      setup.onEvent = () => {
        for (const queue of [first, ...made]) multiplexer.unsubscribe(queue)
      }
      leave(streams.last)
      // Longer than the pause before another stream would be opened.
      await new Promise((resolve) => setTimeout(resolve, 100))
      assert.ok(streams.opened.every(({ isCanceled }) => isCanceled))
      multiplexer.close()
    }
  })

  test('moves to another member at once when its member drains', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const queue = subscribe(multiplexer)
    await settled()
    const [first] = streams.opened
    first?.created(1, 100)
    first?.leave()
    assert.equal(queue.state, 'reconnecting')
    await settled()
    assert.equal(first?.isCanceled, true)
    assert.deepEqual(starts(streams.last), [101])
    streams.last.created(1, 100)
    streams.last.events(1, 101)
    assert.deepEqual(taken(queue), [101])
    multiplexer.close()
  })

  test('stays on the only member while it drains', async () => {
    const { multiplexer, streams } = multiplexerWith()
    streams.hasOther = () => false
    const queue = subscribe(multiplexer)
    await settled()
    streams.last.created(1, 100)
    streams.last.leave()
    await settled()
    assert.deepEqual([queue.state, streams.opened.length, streams.last.isCanceled], ['active', 1, false])
    multiplexer.close()
  })

  test('leaves a member that does not answer', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { multiplexer, streams } = multiplexerWith()
    const queue = subscribe(multiplexer)
    await settled()
    t.mock.timers.tick(2999)
    assert.equal(streams.last.isCanceled, false)
    t.mock.timers.tick(1)
    await settled()
    assert.deepEqual(
      streams.opened.map(({ isCanceled }) => isCanceled),
      [true, false],
    )
    streams.last.end(new EtcdError('another cluster', { code: 'CLUSTER_CHANGED', effect: 'none' }))
    assert.equal(queue.state, 'connecting')
    t.mock.timers.tick(2000)
    await settled()
    streams.last.created(1, 100)
    assert.deepEqual([streams.opened.length, queue.state, await queue.ready], [3, 'active', 100])
    multiplexer.close()
  })

  test('waits twice as long for each member that does not answer, and as long as at first after an answer', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { multiplexer, streams } = multiplexerWith()
    subscribe(multiplexer)
    await settled()
    /** After how many seconds it leaves the member. Another one is opened then. */
    const patience = async (): Promise<number> => {
      const { last } = streams
      let seconds = 0
      for (; !last.isCanceled && seconds < 100; seconds += 1) t.mock.timers.tick(1000)
      for (let passedMs = 0; last === streams.last && passedMs < 3000; passedMs += 10) t.mock.timers.tick(10)
      await settled()
      return seconds
    }
    const waits: number[] = []
    for (let silences = 0; silences < 6; silences += 1) waits.push(await patience())
    assert.deepEqual(waits, [3, 6, 12, 24, 48, 48])
    streams.last.created(1, 100)
    t.mock.timers.tick(600_000)
    assert.equal(streams.last.isCanceled, false, 'it has answered')
    streams.last.leave()
    await settled()
    assert.equal(await patience(), 3)
    multiplexer.close()
  })

  test('requests progress once a minute as long as there are watches', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { multiplexer, streams } = multiplexerWith()
    const requests = async (): Promise<number> => {
      const queue = subscribe(multiplexer)
      await settled()
      streams.last.created(1, 100)
      t.mock.timers.tick(72_000)
      multiplexer.unsubscribe(queue)
      return streams.last.progressRequests
    }
    assert.deepEqual([await requests(), await requests()], [1, 1])
  })

  test('opens the next stream at once after one that has delivered events', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { multiplexer, streams } = multiplexerWith()
    subscribe(multiplexer)
    for (const revision of [101, 102, 103]) {
      t.mock.timers.tick(0)
      await settled()
      streams.last.created(1, 100)
      streams.last.events(1, revision)
      streams.last.end()
    }
    assert.equal(streams.opened.length, 3)
    multiplexer.close()
  })

  test('backs off when streams break as soon as they work', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { multiplexer, streams } = multiplexerWith()
    const queue = subscribe(multiplexer)
    await settled()
    for (let passedMs = 0; passedMs < 10_000; passedMs += 1) {
      const { last } = streams
      if (!last.isCanceled) {
        last.created(1, 100)
        last.end()
      }
      t.mock.timers.tick(1)
      await settled()
    }
    // Pauses of 50 ms and of twice as much each time, up to 2 s.
    assert.ok(streams.opened.length > 8 && streams.opened.length < 25, `${streams.opened.length} streams in 10 s`)
    assert.ok(queue.reconnects >= streams.opened.length - 1)
    multiplexer.close()
  })

  test('opens another stream after a refused token, three times in a row', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const [a, b] = [subscribe(multiplexer, { name: 'a' }), subscribe(multiplexer, { name: 'b' })]
    await settled()
    streams.last.created(1, 100)
    refuse(streams.last, 'etcdserver: invalid auth token')
    await settled()
    assert.equal(streams.opened.length, 2)
    for (let refusals = 0; refusals < 3; refusals += 1) {
      streams.last.created(1, 100)
      assert.deepEqual(starts(streams.last), [101, 0])
      refuse(streams.last, 'etcdserver: invalid auth token')
      await settled()
    }
    await assert.rejects(b.take(), { code: 'INVALID_AUTH_TOKEN' })
    streams.last.events(1, 101)
    assert.deepEqual(taken(a), [101])
    multiplexer.close()
  })

  test('counts only the refusals of a token since a watch was last created', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const queue = subscribe(multiplexer)
    for (const refusals of [3, 3]) {
      for (let count = 0; count < refusals; count += 1) {
        await settled()
        refuse(streams.last, 'etcdserver: invalid auth token')
      }
      await settled()
      streams.last.created(1, 100)
      streams.last.leave()
    }
    assert.equal(queue.state, 'reconnecting')
    multiplexer.close()
  })

  test('ends all watches with a permanent error', async () => {
    const { multiplexer, streams } = multiplexerWith()
    streams.failure = new EtcdError('wrong password', { code: 'AUTH_FAILED', effect: 'none' })
    const queues = [subscribe(multiplexer, { name: 'a' }), subscribe(multiplexer, { name: 'b' })]
    for (const queue of queues) await assert.rejects(queue.take(), { code: 'AUTH_FAILED' })
    for (const queue of queues) await assert.rejects(queue.ready, { code: 'AUTH_FAILED' })
  })

  test('detects that another cluster has replaced the old one', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const queue = subscribe(multiplexer)
    await settled()
    streams.last.created(1, 100, 'c1')
    streams.last.end()
    await streams.openedAgain()
    streams.last.created(1, 100, 'c2')
    await assert.rejects(queue.take(), { code: 'CLUSTER_CHANGED' })
    assert.equal(streams.last.isCanceled, true)
  })

  test('ends all watches when it is closed, and accepts no more', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const waiting = subscribe(multiplexer)
    await settled()
    multiplexer.close()
    await assert.rejects(waiting.take(), { code: 'CLOSED' })
    assert.equal(streams.last.isCanceled, true)
    await assert.rejects(subscribe(multiplexer).take(), { code: 'CLOSED' })
  })
})

describe('A member with a lower revision than a watch has seen', () => {
  async function resumedAt(revision: number, currentRevision: () => Promise<number>) {
    const { multiplexer, streams } = multiplexerWith({ currentRevision })
    const queue = subscribe(multiplexer)
    await settled()
    streams.last.created(1, 100)
    streams.last.events(1, 105)
    assert.deepEqual(taken(queue), [105])
    streams.last.end()
    await streams.openedAgain()
    streams.last.created(1, revision)
    await settled()
    return { multiplexer, streams, queue }
  }

  test('may lag behind: the watch waits for it', async () => {
    const { multiplexer, streams, queue } = await resumedAt(90, async () => 105)
    streams.last.events(1, 106)
    assert.deepEqual(taken(queue), [106])
    multiplexer.close()
  })

  test('is not compared with revisions that arrive during the read', async () => {
    let answer = (_revision: number): void => {}
    const { multiplexer, streams, queue } = await resumedAt(90, () => new Promise((resolve) => (answer = resolve)))
    streams.last.events(1, 110)
    answer(106)
    await settled()
    assert.deepEqual([queue.state, taken(queue)], ['active', [110]])
    multiplexer.close()
  })

  test('is checked each time that it is seen', async () => {
    const revisions = [105, 95]
    const { streams, queue } = await resumedAt(90, async () => revisions.shift() ?? 0)
    streams.last.end()
    await streams.openedAgain()
    streams.last.created(1, 90)
    await assert.rejects(queue.take(), { code: 'REVISION_REWOUND' })
  })

  test('belongs to a restored cluster if a linearizable read returns a lower revision, too', async () => {
    const { queue, streams } = await resumedAt(90, async () => 95)
    await assert.rejects(queue.take(), { code: 'REVISION_REWOUND' })
    assert.equal(streams.last.isCanceled, true)
  })

  test('belongs to a restored cluster if the read fails with REVISION_REWOUND', async () => {
    const answer = mock.fn(async () => 95)
    answer.mock.mockImplementationOnce(async () => {
      throw new EtcdError('restored', { code: 'REVISION_REWOUND', effect: 'none' })
    })
    const { queue } = await resumedAt(90, answer)
    await assert.rejects(queue.take(), { code: 'REVISION_REWOUND' })
  })

  test('is checked again when the read fails', async () => {
    const answer = mock.fn(async () => 95)
    answer.mock.mockImplementationOnce(async () => {
      throw new EtcdError('no answer', { code: 'DEADLINE_EXCEEDED', effect: 'none' })
    })
    const { queue } = await resumedAt(90, answer)
    await assert.rejects(queue.take(), { code: 'REVISION_REWOUND' })
    assert.equal(answer.mock.callCount(), 2)
  })

  test('is not checked any more when the watches have ended, and no timer is left', async () => {
    const currentRevision = mock.fn(async () => {
      throw new EtcdError('no answer', { code: 'DEADLINE_EXCEEDED', effect: 'none' })
    })
    const { multiplexer } = await resumedAt(90, currentRevision)
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    await settled()
    const before = timers()
    multiplexer.close()
    await settled()
    assert.ok(timers() < before)
    assert.equal(currentRevision.mock.callCount(), 1)
  })

  test('is not checked any more when the client closes during the read', async () => {
    let fail = (_error: Error): void => {}
    const { multiplexer } = await resumedAt(90, () => new Promise((_, reject) => (fail = reject)))
    multiplexer.close()
    await settled()
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    fail(new EtcdError('closed', { code: 'CLOSED', effect: 'none' }))
    await settled()
    assert.equal(timers(), before)
  })

  test('is not suspected for a future start revision', async () => {
    const currentRevision = mock.fn(async () => 50)
    const { multiplexer, streams } = multiplexerWith({ seen: 60, currentRevision })
    subscribe(multiplexer, { start: 1000 })
    await settled()
    streams.last.created(1, 60)
    await settled()
    assert.equal(currentRevision.mock.callCount(), 0)
    multiplexer.close()
  })

  test('is detected at the first start after a read', async () => {
    const { multiplexer, streams } = multiplexerWith({ seen: 60, currentRevision: async () => 40 })
    const queue = subscribe(multiplexer, { start: 61 })
    await settled()
    streams.last.created(1, 40)
    await assert.rejects(queue.take(), { code: 'REVISION_REWOUND' })
    multiplexer.close()
  })
})

/** The watch of a slow consumer on its dedicated stream, with this many events since it was full, of at most two. */
async function slowOn(identity: ClusterIdentity, events: number) {
  const { multiplexer, streams } = multiplexerWith({ identity, currentRevision: async () => 103 })
  const queue = subscribe(multiplexer, { maxBufferedEvents: 2 })
  await settled()
  streams.last.created(1, 100)
  streams.last.events(1, 101, 102)
  assert.deepEqual(taken(queue), [101, 102])
  await settled()
  streams.last.created(1, 109)
  for (let index = 0; index < events; index += 1) streams.last.events(1, 103 + index)
  return { multiplexer, streams, queue }
}

describe('A restored cluster, detected by another call,', () => {
  const restored = (identity: ClusterIdentity, revision: number): void => {
    identity.observe(header({ revision }), 'm', identity.revision)
  }

  /** A watch at revision 105 of a cluster that was restored at 103, which no read confirms. */
  async function restoredBehindWatch() {
    const identity = identityAt(105)
    const { multiplexer, streams } = multiplexerWith({ identity, currentRevision: () => new Promise(() => {}) })
    subscribe(multiplexer)
    await settled()
    streams.last.created(1, 105)
    restored(identity, 103)
    return { multiplexer, streams }
  }

  test('ends the watches that have seen later revisions, and no others', async () => {
    const identity = identityAt(0)
    const { multiplexer, streams } = multiplexerWith({ identity, currentRevision: async () => 103 })
    const [quiet, busy] = [subscribe(multiplexer, { name: 'quiet' }), subscribe(multiplexer, { name: 'busy' })]
    await settled()
    streams.last.created(1, 100)
    await settled()
    streams.last.created(2, 100)
    streams.last.events(2, 105)
    identity.observe(header({ revision: 105 }), 'm', 0)
    assert.deepEqual(taken(busy), [105])
    restored(identity, 103)
    await assert.rejects(busy.take(), { code: 'REVISION_REWOUND' })
    assert.equal(quiet.state, 'active')
    multiplexer.close()
  })

  test('is watched from its own revision by a later watch', async () => {
    const { multiplexer, streams } = await restoredBehindWatch()
    const late = subscribe(multiplexer)
    await settled()
    assert.deepEqual(starts(streams.last), [0, 0])
    streams.last.created(2, 103)
    assert.equal(await late.ready, 103)
    multiplexer.close()
  })

  test('ends the watch of a slow consumer', async () => {
    const identity = identityAt(100)
    const { multiplexer, streams } = multiplexerWith({ identity, currentRevision: async () => 1000 })
    const slow = subscribe(multiplexer, { maxBufferedEvents: 2 })
    await settled()
    streams.last.created(1, 100)
    streams.last.events(1, 101, 102)
    identity.observe(header({ revision: 110 }), 'm', 0)
    restored(identity, 103)
    assert.deepEqual(taken(slow), [101, 102])
    await assert.rejects(slow.take(), { code: 'REVISION_REWOUND' })
    multiplexer.close()
  })

  test('ends the watch of a slow consumer on its dedicated stream', async () => {
    const identity = identityAt(100)
    const { multiplexer, streams, queue } = await slowOn(identity, 1)
    identity.observe(header({ revision: 110 }), 'm', 0)
    restored(identity, 103)
    assert.deepEqual(taken(queue), [103])
    await assert.rejects(queue.take(), { code: 'REVISION_REWOUND' })
    assert.equal(streams.last.isCanceled, true)
    multiplexer.close()
  })

  for (const events of [0, 2]) {
    test(`ends a slow consumer with ${events} buffered events that loses its stream`, async () => {
      const identity = identityAt(100)
      const { multiplexer, streams, queue } = await slowOn(identity, events)
      identity.observe(header({ revision: 110 }), 'm', 0)
      streams.failure = new EtcdError('no slot', { code: 'STREAM_LIMIT', effect: 'none' })
      streams.last.end()
      identity.adopt('c2')
      await new Promise((resolve) => setTimeout(resolve, 20))
      assert.equal(taken(queue).length, events)
      await assert.rejects(queue.take(), { code: 'CLUSTER_CHANGED' })
      multiplexer.close()
    })
  }

  test('does not end a later watch that has come as far as an earlier one', async () => {
    const { multiplexer, streams } = await restoredBehindWatch()
    const late = subscribe(multiplexer, { start: 104 })
    streams.last.created(2, 103)
    streams.last.events(2, 104, 105, 106)
    assert.deepEqual([streams.last.canceledIds, taken(late)], [[], [104, 105, 106]])
    multiplexer.close()
  })

  test('may be another one for a watch without a start revision', async () => {
    const identity = identityAt(100)
    const { multiplexer, streams } = multiplexerWith({ identity })
    const queue = subscribe(multiplexer)
    identity.adopt('c2')
    await settled()
    streams.last.created(1, 200, 'c2')
    assert.equal(await queue.ready, 200)
    multiplexer.close()
  })

  test('does not replace another cluster for a watch with a start revision', async () => {
    const identity = identityAt(100)
    const { multiplexer, streams } = multiplexerWith({ identity })
    const queue = subscribe(multiplexer, { start: 90 })
    identity.adopt('c2')
    await settled()
    streams.last.created(1, 200, 'c2')
    await assert.rejects(queue.take(), { code: 'CLUSTER_CHANGED' })
    multiplexer.close()
  })
})

describe('A slow consumer', () => {
  test('leaves the shared watcher, and resumes on a dedicated stream', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const [fast, slow] = [subscribe(multiplexer), subscribe(multiplexer, { maxBufferedEvents: 4 })]
    await settled()
    const common = streams.last
    common.created(1, 100)
    common.events(1, 101, 102, 103, 104)
    common.events(1, 105, 106)
    assert.deepEqual([slow.buffered, fast.buffered], [4, 6])
    assert.deepEqual([slow.takeNow()?.revision, slow.takeNow()?.revision], [101, 102])
    assert.equal(streams.opened.length, 1)
    assert.equal(slow.takeNow()?.revision, 103)
    await settled()
    const own = streams.last
    assert.deepEqual([streams.opened.length, starts(own), common.isCanceled], [2, [105], false])
    own.created(1, 106)
    own.events(1, 105, 106)
    common.events(1, 107)
    own.events(1, 107, 108)
    assert.equal(own.isPaused, true, 'the member is held back')
    assert.equal(common.isPaused, false)
    assert.deepEqual(
      [taken(slow), taken(fast)],
      [
        [104, 105, 106, 107, 108],
        [101, 102, 103, 104, 105, 106, 107],
      ],
    )
    assert.equal(own.isPaused, false)
    multiplexer.unsubscribe(slow)
    assert.deepEqual([own.isCanceled, common.isCanceled], [true, false])
    multiplexer.close()
  })

  test('holds back the next member, too, when its stream is lost, until there is room', async () => {
    const { multiplexer, streams, queue } = await slowOn(identityAt(0), 2)
    assert.equal(streams.last.isPaused, true)
    const next = async (): Promise<FakeStream> => {
      streams.last.end()
      await streams.openedAgain()
      return streams.last
    }
    const full = await next()
    assert.equal(full.isPaused, true)
    assert.deepEqual(taken(queue), [103, 104])
    assert.equal(full.isPaused, false)
    assert.equal((await next()).isPaused, false)
    multiplexer.close()
  })

  test('returns to the shared stream after it has kept up for a while', async (t) => {
    let now = 0
    t.mock.method(performance, 'now', () => now)
    const { multiplexer, streams } = multiplexerWith()
    t.after(() => multiplexer.close())
    const [fast, slow] = [subscribe(multiplexer), subscribe(multiplexer, { maxBufferedEvents: 2 })]
    await settled()
    const common = streams.last
    common.created(1, 100)
    common.events(1, 101, 102)
    assert.deepEqual(taken(slow), [101, 102])
    await settled()
    const own = streams.last
    own.created(1, 102)
    now = 9000
    own.events(1, 103, 104)
    assert.deepEqual([own.isPaused, taken(slow), own.isPaused], [true, [103, 104], false])
    now = 12_000
    own.events(1, 105)
    assert.deepEqual([own.isCanceled, taken(slow)], [false, [105]], 'it was full three seconds ago')
    now = 19_000
    own.events(1, 106)
    assert.deepEqual([own.isCanceled, common.canceledIds], [true, []])
    common.events(1, 103, 104, 105, 106, 107)
    assert.deepEqual(
      [taken(slow), taken(fast)],
      [
        [106, 107],
        [101, 102, 103, 104, 105, 106, 107],
      ],
    )
    assert.deepEqual(starts(common), [0], 'the two share a watcher')
    assert.deepEqual([slow.state, slow.reconnects], ['active', 0])
  })

  test('without other subscribers has no watcher on the server until there is room', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const queue = subscribe(multiplexer, { maxBufferedEvents: 1 })
    await settled()
    streams.last.created(1, 100)
    streams.last.events(1, 101)
    assert.equal(streams.last.isCanceled, true)
    assert.deepEqual(taken(queue), [101])
    await settled()
    assert.deepEqual(starts(streams.last), [102])
    multiplexer.close()
    await assert.rejects(queue.take(), { code: 'CLOSED' })
  })

  test('receives CLOSED when the client closes while it has no watcher', async () => {
    const { multiplexer, streams } = multiplexerWith()
    const queue = subscribe(multiplexer, { maxBufferedEvents: 1 })
    await settled()
    streams.last.created(1, 100)
    streams.last.events(1, 101)
    multiplexer.close()
    assert.equal((await queue.take())?.revision, 101)
    await assert.rejects(queue.take(), { code: 'CLOSED' })
  })
})
