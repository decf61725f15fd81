import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { WatchResponse } from '../../src/protobuf/generated/messages.js'
import { ServerWatch, type Subscriber } from '../../src/watch/server-watch.js'
import { WatchStream, type WatchStreamHost } from '../../src/watch/watch-stream.js'
import { header } from '../support/fake-transport.js'
import { clusterAt, FakeStreams, putEvent, settled, specFor } from './fake-streams.js'

/** The owner of the watchers of one stream; it records the events of the stream. */
class Host implements WatchStreamHost {
  readonly received: string[] = []
  /** What ends the watchers that are created. */
  refusal: EtcdError | undefined
  created(_stream: WatchStream, watch: ServerWatch, { header: answer }: WatchResponse): EtcdError | undefined {
    if (this.refusal !== undefined) return this.refusal
    watch.created(answer?.revision ?? 0, answer?.clusterId, 'm')
    return undefined
  }
  opened(): void {}
  advanced(): void {}
  ended(_stream: WatchStream, watch: ServerWatch, error: EtcdError): void {
    this.received.push(`${watch.spec.key} ended: ${error.code}`)
    watch.end(error)
  }
  lost(_stream: WatchStream, error: unknown): void {
    this.received.push(`lost: ${error instanceof EtcdError ? error.code : error}`)
  }
  draining(): void {
    this.received.push('draining')
  }
}

/** A watcher, and what its subscriber receives. */
function watched(name: string, next = 0) {
  const watch = new ServerWatch(specFor(name), next, clusterAt(0))
  const received: string[] = []
  const subscriber: Subscriber = {
    next: 0,
    isFull: false,
    onCreated: (revision) => received.push(`created ${revision}`),
    onBatch: ({ revision, events }) => received.push(`${revision}: ${events.map(({ keyText }) => keyText)}`),
    onProgress: (revision) => received.push(`progress ${revision}`),
    onLost: () => received.push('lost'),
    onEnd: () => received.push('end'),
  }
  watch.subscribers.add(subscriber)
  return { watch, received }
}

async function openWith(...watches: ServerWatch[]) {
  const streams = new FakeStreams()
  const host = new Host()
  const stream = new WatchStream(host)
  for (const watch of watches) stream.add(watch)
  await stream.open(streams, new Set())
  return { stream, host, member: streams.last, streams }
}

/** A ping creates a watcher and cancels it as soon as it is created. */
test('A ping is a create request that leaves no watcher behind', async () => {
  const streams = new FakeStreams()
  const host = new Host()
  const stream = new WatchStream(host)
  const { watch, received } = watched('a')
  stream.add(watch)
  await stream.open(streams, new Set())
  streams.last.created(1, 100)
  const before = stream.lastMessageAt
  streams.last.progress(101)
  assert.ok(stream.lastMessageAt > before)
  stream.ping()
  assert.deepEqual([streams.last.creates.length, streams.last.creates[1]?.startRevision], [2, 0])
  streams.last.created(2, 105)
  assert.ok(stream.lastMessageAt >= before)
  assert.deepEqual([streams.last.canceledIds, received], [[2], ['created 100', 'progress 101']])
  const other = watched('b').watch
  stream.add(other)
  stream.ping()
  assert.equal(streams.last.creates.length, 3, 'a create request that is not answered yet serves as a ping')
  streams.last.created(3, 105)
  for (const each of [watch, other]) stream.remove(each)
  stream.ping()
  assert.equal(streams.last.creates.length, 3)
})

describe('A watch stream', () => {
  test('pipelines create requests after the first one, each with its next revision and a chosen ID', async () => {
    const { member, stream } = await openWith(watched('a', 5).watch, watched('b').watch)
    assert.equal(member.creates.length, 1)
    stream.add(watched('c', 7).watch)
    member.created(1, 100)
    stream.add(watched('d').watch)
    assert.deepEqual(
      member.creates.map(({ key, watchId, startRevision, fragment, progressNotify }) => [
        String(key),
        watchId,
        startRevision,
        fragment,
        progressNotify,
      ]),
      [
        ['a', 1, 5, true, true],
        ['b', 2, 0, true, true],
        ['c', 3, 7, true, true],
        ['d', 4, 0, true, true],
      ],
    )
  })

  test('creates one watcher at a time if a proxy assigns the IDs, and uses those', async () => {
    const [a, b, c, d] = [watched('a'), watched('b'), watched('c'), watched('d')]
    const { member, stream, host } = await openWith(a.watch, b.watch, c.watch, d.watch)
    const asked = (): string => member.creates.map(({ key }) => String(key)).join('')
    member.created(0, 100)
    assert.equal(asked(), 'ab')
    stream.remove(b.watch)
    stream.remove(c.watch)
    assert.deepEqual([asked(), member.canceledIds], ['ab', []], 'b is not known by an id yet')
    member.created(1, 100)
    assert.deepEqual([asked(), member.canceledIds], ['abd', [1]])
    member.events(1, 101)
    member.created(2, 100)
    member.events(0, 102)
    member.events(2, 103)
    assert.deepEqual(
      [a.received, b.received, c.received, d.received],
      [['created 100', '102: key'], [], [], ['created 100', '103: key']],
    )
    member.answer({ watchId: 2, canceled: true })
    stream.remove(a.watch)
    assert.deepEqual([host.received, member.canceledIds], [['d ended: WATCH_CANCELED'], [1, 0]])
  })

  test('creates the next watcher alone when the first one is refused', async () => {
    const [a, b, c] = [watched('a'), watched('b'), watched('c')]
    const { member } = await openWith(a.watch, b.watch, c.watch)
    member.answer({ watchId: -1, created: true, canceled: true, cancelReason: 'etcdserver: permission denied' })
    assert.equal(member.creates.length, 2)
    member.created(0, 100)
    assert.equal(member.creates.length, 3)
    member.created(1, 100)
    member.events(1, 101)
    assert.deepEqual([b.received, c.received], [['created 100'], ['created 100', '101: key']])
  })

  test('matches responses to create requests by their order', async () => {
    const [a, b] = [watched('a'), watched('b')]
    const { member } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    member.created(2, 101)
    member.events(2, 102)
    assert.deepEqual([a.received, b.received], [['created 100'], ['created 101', '102: key']])
  })

  test('assigns a refusal, which has no ID, to its watcher', async () => {
    const [a, b, c] = [watched('a'), watched('b'), watched('c')]
    const { member, host } = await openWith(a.watch, b.watch, c.watch)
    member.created(1, 100)
    member.answer({
      watchId: -1,
      created: true,
      canceled: true,
      cancelReason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
    })
    member.created(3, 100)
    assert.deepEqual(host.received, ['b ended: PERMISSION_DENIED'])
    member.events(1, 101)
    member.events(3, 102)
    assert.deepEqual([a.received.at(-1), b.received, c.received.at(-1)], ['101: key', ['end'], '102: key'])
    assert.deepEqual(member.canceledIds, [])
  })

  test('ends a compacted watcher with the compact revision', async () => {
    const [a, b] = [watched('a', 5), watched('b')]
    const { member, host } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    member.created(2, 100)
    member.answer({ watchId: 1, canceled: true, compactRevision: 50, header: header({ revision: 0 }) })
    assert.deepEqual(host.received, ['a ended: COMPACTED'])
    member.events(2, 101)
    assert.equal(b.received.at(-1), '101: key')
  })

  test('cancels a watcher that its owner does not accept', async () => {
    const [a, b] = [watched('a'), watched('b')]
    const { member, host } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    host.refusal = new EtcdError('another cluster', { code: 'CLUSTER_CHANGED', effect: 'none' })
    member.created(2, 100)
    assert.deepEqual([host.received, member.canceledIds], [['b ended: CLUSTER_CHANGED'], [2]])
  })

  test('drops events for a removed watcher', async () => {
    const [a, b] = [watched('a'), watched('b')]
    const { member, stream } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    stream.remove(a.watch)
    stream.remove(b.watch)
    member.created(2, 100)
    assert.deepEqual(member.canceledIds, [1, 2])
    member.events(1, 101)
    member.answer({ watchId: 1, events: [putEvent(102)], fragment: true })
    member.answer({ watchId: 1, canceled: true })
    member.answer({ watchId: 2, canceled: true })
    assert.deepEqual([a.received, b.received], [['created 100'], []])
    const c = watched('c')
    stream.add(c.watch)
    member.created(3, 103)
    member.events(3, 104)
    assert.deepEqual(c.received, ['created 103', '104: key'])
  })

  test('joins the fragments of each watcher, and delivers complete revisions', async () => {
    const [a, b] = [watched('a'), watched('b')]
    const { member } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    member.created(2, 100)
    a.received.length = 0
    b.received.length = 0
    member.answer({ watchId: 1, fragment: true, events: [putEvent(101, 'a1'), putEvent(102, 'a2')] })
    assert.deepEqual(a.received, ['101: a1'])
    member.answer({ watchId: 2, fragment: true, events: [putEvent(102, 'b1')] })
    member.answer({ watchId: 1, fragment: true, events: [putEvent(102, 'a3')] })
    member.answer({ watchId: 2, events: [putEvent(102, 'b2')] })
    assert.deepEqual([a.received, b.received], [['101: a1'], ['102: b1,b2']])
    member.answer({ watchId: 1, events: [putEvent(102, 'a4'), putEvent(103, 'a5')] })
    assert.deepEqual(a.received, ['101: a1', '102: a2,a3,a4', '103: a5'])
    assert.equal(a.watch.next, 104)
  })

  test('resumes before a revision that was received in part', async () => {
    const a = watched('a')
    const { member, host } = await openWith(a.watch)
    member.created(1, 100)
    member.answer({ watchId: 1, fragment: true, events: [putEvent(101), putEvent(102)] })
    member.end()
    assert.deepEqual([a.watch.next, host.received], [102, ['lost: CONNECTION_LOST']])
  })

  test('requests fragments if the history of the member may not fit into one response', async () => {
    const asked = async (dataBytes: number | undefined, prevKv: boolean): Promise<boolean | undefined> => {
      const streams = new FakeStreams()
      streams.dataBytes = dataBytes
      const stream = new WatchStream(new Host())
      stream.add(new ServerWatch({ ...specFor('a'), prevKv }, 5, clusterAt(0)))
      await stream.open(streams, new Set())
      return streams.last.creates.at(0)?.fragment
    }
    const mib = 2 ** 20
    assert.deepEqual(await Promise.all([asked(undefined, false), asked(65 * mib, false)]), [true, true])
    assert.deepEqual(await Promise.all([asked(64 * mib, false), asked(32 * mib, true)]), [false, false])
    assert.equal(await asked(33 * mib, true), true)
  })

  test('stops to request fragments for very many small events, after the last complete revision', async () => {
    const a = watched('a', 5)
    const { member } = await openWith(a.watch)
    member.created(1, 9000)
    const part = Array.from({ length: 4000 }, (_, index) => putEvent(10 + Math.floor(index / 3), `k${index % 3}`))
    member.answer({ watchId: 1, events: part, fragment: true })
    assert.equal(a.received.at(-1), '1342: k0,k1,k2')
    assert.deepEqual(
      member.creates.map(({ watchId, startRevision, fragment }) => [watchId, startRevision, fragment]),
      [
        [1, 5, true],
        [2, 1343, false],
      ],
    )
    assert.deepEqual(member.canceledIds, [1])
    member.answer({ watchId: 1, events: [putEvent(1343, 'k1'), putEvent(1344)] })
    member.created(2, 9000)
    const whole = Array.from({ length: 4000 }, (_, index) => putEvent(1343 + Math.floor(index / 2), `k${index % 2}`))
    member.answer({ watchId: 2, events: whole })
    assert.equal(a.received.at(-1), '3342: k0,k1')
    assert.equal(member.creates.length, 2)
    // Few events in an answer: they may be large ones again.
    member.answer({ watchId: 2, events: [putEvent(3343, 'k')] })
    assert.deepEqual(
      member.creates.slice(2).map(({ watchId, startRevision, fragment }) => [watchId, startRevision, fragment]),
      [[3, 3344, true]],
    )
    assert.deepEqual(member.canceledIds, [1, 2])
    member.created(3, 9000)
    assert.deepEqual(a.received.slice(-3), ['3342: k0,k1', '3343: k', 'created 3343'])
  })

  test('counts the events of a whole response, not of its parts, to stop to request fragments', async () => {
    const { member } = await openWith(watched('a', 5).watch)
    member.created(1, 9000)
    const events = Array.from({ length: 500 }, (_, index) => putEvent(10 + index))
    for (let part = 0; part < 8; part += 1) member.answer({ watchId: 1, events, hasMore: true })
    assert.equal(member.creates.length, 1)
    member.answer({ watchId: 1, events: [putEvent(600), putEvent(601)], fragment: true, eventCount: 4002 })
    assert.deepEqual(
      member.creates.map(({ startRevision, fragment }) => [startRevision, fragment]),
      [
        [5, true],
        [601, false],
      ],
    )
    member.created(2, 1000)
    member.answer({ watchId: 2, events: [putEvent(601)], hasMore: true })
    member.answer({ watchId: 2, events: [putEvent(602)], eventCount: 4001 })
    assert.equal(member.creates.length, 2)
  })

  test('applies progress to all watchers that were created before the request', async () => {
    const [a, b] = [watched('a', 50), watched('b', 60)]
    const { member, stream } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    member.created(2, 100)
    stream.requestProgress()
    assert.equal(member.progressRequests, 1)
    member.progress(100)
    assert.deepEqual([a.watch.next, b.watch.next], [101, 101])
  })

  test('does not apply progress to a watcher that is still being created', async () => {
    const [a, b] = [watched('a', 50), watched('b', 60)]
    const { member, stream } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    stream.requestProgress()
    member.progress(100)
    member.created(2, 100)
    assert.deepEqual([a.watch.next, b.watch.next], [101, 60])
    member.events(2, 70)
    assert.equal(b.received.at(-1), '70: key')
  })

  test('does not apply progress from before the creation of a watcher', async () => {
    const [a, b] = [watched('a', 50), watched('b', 60)]
    const { member, stream } = await openWith(a.watch)
    member.created(1, 100)
    stream.requestProgress()
    stream.add(b.watch)
    // The create was answered out of turn, before the question.
    member.created(2, 100)
    stream.requestProgress()
    member.progress(100)
    assert.deepEqual([a.watch.next, b.watch.next], [101, 60])
    member.events(2, 70)
    member.progress(100)
    assert.deepEqual([b.received.at(-2), b.watch.next], ['70: key', 101])
  })

  test('applies progress above the revision of the creation, although earlier requests were not answered', async () => {
    const [a, b] = [watched('a', 50), watched('b', 60)]
    const { member, stream } = await openWith(a.watch)
    member.created(1, 100)
    for (let asked = 0; asked < 5; asked += 1) stream.requestProgress()
    stream.add(b.watch)
    member.created(2, 100)
    stream.requestProgress()
    member.progress(101)
    assert.equal(b.watch.next, 102)
  })

  test('ignores and does not request progress of a member whose notifications are unreliable', async () => {
    const a = watched('a', 50)
    const streams = new FakeStreams()
    streams.serverVersion = '3.5.12'
    const stream = new WatchStream(new Host())
    stream.add(a.watch)
    await stream.open(streams, new Set())
    streams.last.created(1, 100)
    stream.requestProgress()
    streams.last.progress(100)
    streams.last.progress(100, 1)
    assert.deepEqual([a.watch.next, streams.last.progressRequests], [50, 0])
  })

  test('applies the progress of one watcher to that watcher only', async () => {
    const [a, b] = [watched('a', 50), watched('b', 60)]
    const { member } = await openWith(a.watch, b.watch)
    member.created(1, 100)
    member.created(2, 100)
    member.progress(120, 2)
    assert.deepEqual([a.watch.next, b.watch.next], [50, 121])
  })

  test('is opened for its purpose, on a member that is not excluded', async () => {
    const streams = new FakeStreams()
    const excluded = new Set(['http://m7'])
    await new WatchStream(new Host(), 'slow watch').open(streams, excluded)
    assert.deepEqual([streams.options.purpose, streams.options.excludedEndpoints], ['slow watch', excluded])
  })

  test('that is closed while it is being opened leaves nothing open', async () => {
    const streams = new FakeStreams()
    const host = new Host()
    const stream = new WatchStream(host)
    stream.add(watched('a').watch)
    const opening = stream.open(streams, new Set())
    stream.close()
    await opening
    await settled()
    assert.deepEqual([streams.last.isCanceled, streams.last.sent, host.received], [true, [], []])
  })

  test('reports that it could not be opened, unless it was closed', async () => {
    const streams = new FakeStreams()
    streams.failure = new EtcdError('refused', { code: 'NOT_CONNECTED', effect: 'none' })
    const host = new Host()
    await new WatchStream(host).open(streams, new Set())
    const closed = new WatchStream(host)
    const opening = closed.open(streams, new Set())
    closed.close()
    await opening
    assert.deepEqual(host.received, ['lost: NOT_CONNECTED'])
  })
})
