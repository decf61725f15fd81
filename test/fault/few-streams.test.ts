import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Etcd, WatchEvent } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

const maxStreams = 4
const maxBufferedEvents = 4
const eventCount = 12

/** Watches that have had a stream of their own, and whose consumers read no further. */
async function stalledWatches(t: TestContext, etcd: Etcd, prefix: string, count: number) {
  const watchers = Array.from({ length: count }, (_, index) =>
    etcd.watch({ prefix: `${prefix}${index}/` }, { maxBufferedEvents }),
  )
  await Promise.all(watchers.map((watcher) => watcher.ready()))
  const revisions: number[][] = await Promise.all(
    watchers.map(async (_, index) => {
      const written: number[] = []
      for (let turn = 0; turn < eventCount; turn += 1) {
        written.push((await etcd.put(`${prefix}${index}/key`, Buffer.alloc(20_000))).revision)
      }
      return written
    }),
  )
  const iterators = watchers.map((watcher) => watcher[Symbol.asyncIterator]())
  const received: number[][] = await Promise.all(iterators.map((iterator) => take(iterator, 3)))
  await poll(
    'all are full again',
    () => watchers.every(({ status }) => status.buffered >= maxBufferedEvents) || undefined,
  )
  t.after(() => Promise.all(watchers.map((watcher) => watcher.close())))
  const rest = async (): Promise<void> => {
    const others = await Promise.all(iterators.map((iterator) => take(iterator, eventCount - 3)))
    assert.deepEqual(
      others.map((revisionsOf, index) => [...(received[index] ?? []), ...revisionsOf]),
      revisions,
    )
  }
  return { rest }
}

async function take(iterator: AsyncIterator<WatchEvent, undefined>, count: number): Promise<number[]> {
  const revisions: number[] = []
  while (revisions.length < count) {
    const { value } = await iterator.next()
    if (value === undefined) break
    revisions.push(value.revision)
  }
  return revisions
}

for (const members of [1, 3]) {
  describe(`${members === 1 ? 'A member that allows' : 'Three members that allow'} 4 streams per connection`, {
    concurrency: true,
  }, () => {
    const cluster = useCluster({ members, flags: { 'max-concurrent-streams': maxStreams } })

    for (const transport of ['grpc-js', 'http2'] as const) {
      test(`leaves streams for leases, locks, new watches and calls beside stalled watches: ${transport}`, async (t) => {
        const etcd = createClient(t, cluster, { transport, timeoutMs: 4000 })
        const prefix = uniquePrefix()
        const limits = new Set<string>()
        etcd.on('streamLimit', (limit) => limits.add(`${limit.purpose} ${limit.maxStreams}`))
        const lease = await etcd.lease.grant(3)
        await etcd.put(`${prefix}leased`, 'here', { lease: lease.id })
        const grantedAt = performance.now()
        await using lock = await etcd.lock(`${prefix}lock`, { ttlSeconds: 3 })
        const { rest } = await stalledWatches(t, etcd, prefix, 4 * members + 4)
        const fresh = etcd.watch(`${prefix}fresh`)
        await fresh.ready({ timeoutMs: 2000 })
        await Promise.all(Array.from({ length: 50 }, (_, index) => etcd.put(`${prefix}many/${index}`, 'x')))
        const { revision } = await etcd.put(`${prefix}fresh`, 'event')
        assert.deepEqual(await take(fresh[Symbol.asyncIterator](), 1), [revision])
        for await (const part of etcd.maintenance.snapshot()) assert.ok(part.length > 0)
        for (const { maxStreams: shown, streams } of etcd.endpoints()) {
          assert.equal(shown, maxStreams)
          assert.ok(streams < maxStreams, `${streams} streams are open`)
        }
        await sleep(grantedAt + 3600 - performance.now())
        assert.ok(lease.isAlive() && lock.isHeld(), 'the lease was lost')
        assert.equal((await etcd.get(`${prefix}leased`))?.valueText, 'here')
        assert.ok(limits.has('slow watch 4'), `emitted ${[...limits].join()}`)
        await rest()
      })

      test(`leaves streams for other calls beside calls that wait in the member: ${transport}`, async (t) => {
        const etcd = createClient(t, cluster, { transport, timeoutMs: 4000 })
        const name = uniquePrefix()
        const ejected: string[] = []
        etcd.on('endpointEjected', ({ reason }) => ejected.push(reason))
        const leases = await Promise.all(Array.from({ length: 1 + maxStreams * members }, () => etcd.lease.grant(30)))
        const [first, ...others] = leases
        assert.ok(first !== undefined)
        await etcd.lockService.lock(name, first.id)
        const controller = new AbortController()
        const { signal } = controller
        const waits = others.map(({ id }) => etcd.lockService.lock(name, id, { signal, timeoutMs: 20_000 }))
        const endings = Promise.allSettled(waits)
        await assert.rejects(Promise.race(waits), /allows 4 streams on a connection \(--max-concurrent-streams\)/)
        const until = performance.now() + 1500
        while (performance.now() < until) await etcd.put(`${name}other`, 'x', { timeoutMs: 1000 })
        assert.deepEqual(ejected, [])
        controller.abort(new Error('enough'))
        const reasons = (await endings).map((ending) =>
          ending.status === 'rejected' ? String(ending.reason) : 'granted',
        )
        assert.ok(reasons.includes('Error: enough'), `none waited: ${reasons.join()}`)
      })
    }
  })
}
