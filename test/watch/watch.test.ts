import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { KeyRange } from '../../src/core/key-range.js'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
import { type WatchOptions, watch } from '../../src/watch/watch.js'
import { WatchMultiplexer } from '../../src/watch/watch-multiplexer.js'
import { FakeStreams, settled } from './fake-streams.js'

/** A watch on a member that answers what a test says. */
async function watching(range: KeyRange | readonly KeyRange[], options: WatchOptions = {}) {
  const streams = new FakeStreams()
  const multiplexer = new WatchMultiplexer({
    streams,
    events: { emit() {} },
    identity: new ClusterIdentity({ clusterChanged() {}, revisionRewound() {}, termRaised() {} }),
    currentRevision: async () => 1000,
  })
  const scope = { multiplexer, obstacle: () => undefined, translation: undefined, pages: () => () => assert.fail() }
  const watcher = watch(scope, range, options)
  await settled()
  return { streams, watcher, multiplexer }
}

for (const [name, range] of [
  ['A watch', 'a'],
  ['A watch of several ranges', ['a', 'c']],
] as const) {
  describe(name, () => {
    const count = Array.isArray(range) ? range.length : 1

    test('requests previous values, and only the wanted events', async () => {
      const { streams, multiplexer } = await watching(range, { prevKv: true, only: 'put', startRevision: 7 })
      streams.last.created(1, 10)
      const asked = streams.last.creates.map(({ prevKv, filters, startRevision }) => [prevKv, filters, startRevision])
      assert.deepEqual(asked, Array(count).fill([true, ['NODELETE'], 7]))
      multiplexer.close()
    })

    test('leaves the server, and its signal, when the signal aborts', async () => {
      const { signal, abort } = abortable()
      const { streams, watcher } = await watching(range, { signal })
      streams.last.created(1, 10)
      assert.equal(getEventListeners(signal, 'abort').length, 1)
      abort()
      assert.deepEqual([streams.last.isCanceled, watcher.status.state], [true, 'ended'])
      await assert.rejects(watcher.batches().next(), /enough/)
    })

    test('leaves its signal when it is closed or fails', async () => {
      const { signal } = abortable()
      const closed = await watching(range, { signal })
      await closed.watcher.close()
      assert.equal(closed.streams.last.isCanceled, true)
      const failed = await watching(range, { signal })
      failed.multiplexer.close()
      assert.deepEqual(getEventListeners(signal, 'abort'), [])
    })

    test('does not start with an aborted signal', async () => {
      const { signal, abort } = abortable()
      abort()
      const { streams, watcher } = await watching(range, { signal })
      assert.equal(streams.opened.length, 0)
      await assert.rejects(watcher.ready(), /enough/)
    })

    test('buffers 10,000 events by default', async () => {
      const { streams, multiplexer } = await watching(range)
      const { last } = streams
      for (let id = 1; id <= count; id += 1) last.created(id, 10)
      const revisions = Array.from({ length: 10_000 }, (_, index) => 11 + index)
      last.events(1, ...revisions.slice(0, -1))
      assert.deepEqual([last.isCanceled, last.canceledIds], [false, []])
      last.events(1, ...revisions.slice(-1))
      assert.deepEqual([last.isCanceled, last.canceledIds], count === 1 ? [true, [1]] : [false, [1]])
      multiplexer.close()
    })
  })
}

test('`batches()` counts a batch as received when it is taken, and is the only iteration', async () => {
  const { streams, watcher, multiplexer } = await watching('a', { startRevision: 7 })
  streams.last.created(1, 10)
  const batches = watcher.batches()
  streams.last.events(1, 8, 9)
  assert.deepEqual([(await batches.next()).value?.revision, watcher.status.revision], [8, 8])
  assert.deepEqual([(await batches.next()).value?.revision, watcher.status.revision], [9, 9])
  assert.throws(() => watcher.batches(), { code: 'INVALID_ARGUMENT' })
  multiplexer.close()
})

test('`ready()` reports why the stream of a watch was lost, when the time is over', async () => {
  const { streams, watcher, multiplexer } = await watching('a')
  streams.last.end(new EtcdError('the member has no leader', { code: 'NO_LEADER', effect: 'none' }))
  await assert.rejects(watcher.ready({ timeoutMs: 1 }), { code: 'DEADLINE_EXCEEDED', message: /has no leader/ })
  multiplexer.close()
})

function abortable(): { readonly signal: AbortSignal; abort(): void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort(new Error('enough')) }
}
