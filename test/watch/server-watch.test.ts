import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ServerWatch, type Subscriber, specId } from '../../src/watch/server-watch.js'
import { batchesOf } from '../../src/watch/watch-event.js'
import { clusterAt, putEvent, specFor } from './fake-streams.js'

class Recorder implements Subscriber {
  readonly received: string[] = []
  isFull = false
  next: number

  constructor(next = 0) {
    this.next = next
  }

  onCreated(revision: number): void {
    this.received.push(`created ${revision}`)
    if (this.next === 0) this.next = revision + 1
  }

  onBatch({ revision }: { readonly revision: number }): void {
    this.received.push(`batch ${revision}`)
    this.next = revision + 1
  }

  onProgress(revision: number): void {
    this.received.push(`progress ${revision}`)
    this.next = revision + 1
  }

  onLost(): void {
    this.received.push('lost')
  }

  onEnd(): void {
    this.received.push('end')
  }
}

function batches(...revisions: number[]) {
  return batchesOf(
    revisions.map((revision) => putEvent(revision)),
    0,
  )
}

function watchWith(next: number, ...subscribers: Recorder[]): ServerWatch {
  const watch = new ServerWatch(specFor('key'), next, clusterAt(0))
  for (const subscriber of subscribers) watch.subscribers.add(subscriber)
  return watch
}

describe('A server watch', () => {
  test('resumes after the last event or progress, and never at an earlier revision', () => {
    const watch = watchWith(10)
    watch.created(500, 'c1', 'm')
    assert.equal(watch.next, 10, 'the revision of the store is not that of the watch')
    watch.deliver(batches(20, 30))
    assert.equal(watch.next, 31)
    watch.progress(25)
    assert.equal(watch.next, 31)
    watch.progress(40)
    watch.deliver(batches(20))
    assert.equal(watch.next, 41)
    watch.lost(new Error('lost'))
    watch.created(35, 'c1', 'm')
    assert.deepEqual([watch.next, watch.seen], [41, 500])
  })

  test('without a start revision starts after the revision of its creation', () => {
    const watch = watchWith(0)
    watch.created(100, 'c1', 'm')
    assert.equal(watch.next, 101)
  })

  test('without a start revision starts after the revisions that the client has seen, on a member that lags behind', () => {
    const watch = new ServerWatch(specFor('key'), 0, clusterAt(120))
    watch.created(100, 'c1', 'm')
    assert.deepEqual([watch.next, watch.seen], [121, 120])
  })

  test('does not count a future start revision as seen', () => {
    assert.equal(new ServerWatch(specFor('key'), 1000, clusterAt(50)).seen, 50)
    assert.equal(new ServerWatch(specFor('key'), 40, clusterAt(50)).seen, 39)
  })

  test('drops repeated events, and events below the next revision of a subscriber', () => {
    const [early, late, future] = [new Recorder(20), new Recorder(25), new Recorder(40)]
    const watch = watchWith(20, early, late, future)
    watch.deliver(batches(20, 21))
    watch.deliver(batches(20, 21, 25))
    watch.progress(24)
    watch.progress(30)
    assert.deepEqual(early.received, ['batch 20', 'batch 21', 'batch 25', 'progress 30'])
    assert.deepEqual(late.received, ['batch 25', 'progress 30'])
    assert.deepEqual([future.received, future.next], [[], 40])
  })

  test('is full if one of its subscribers is full', () => {
    const [one, other] = [new Recorder(), new Recorder()]
    const watch = watchWith(1, one, other)
    assert.equal(watch.isFull, false)
    other.isFull = true
    assert.equal(watch.isFull, true)
  })

  test('reports its end to all subscribers once', () => {
    const subscriber = new Recorder(1)
    const watch = watchWith(1, subscriber)
    watch.end(new Error('over'))
    watch.end(new Error('over'))
    assert.deepEqual(subscriber.received, ['end'])
  })

  test('is identified by range, filters and prevKv', () => {
    const spec = specFor('key')
    const variants = [
      spec,
      { ...spec, rangeEnd: Buffer.from('x') },
      { ...spec, prevKv: true },
      { ...spec, filters: ['NOPUT'] as const },
      { ...spec, filters: ['NODELETE'] as const },
      specFor('other'),
    ]
    assert.equal(new Set(variants.map(specId)).size, variants.length)
    assert.equal(specId(specFor('key')), specId(spec))
  })
})
