import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WatchEvent } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { hasReliableProgress } from '../../src/watch/progress-support.js'
import { rootPassword } from '../support/auth.js'
import { startCluster, useCluster, useDirectClient } from '../support/cluster.js'
import { proxyAt } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

describe('A slow watch consumer', () => {
  const cluster = useCluster({ proxy: true })
  const direct = useDirectClient(cluster)

  const value = Buffer.alloc(100_000, 'x')

  /** Writes 100 kB `count` times and returns the revisions. */
  async function write(prefix: string, count: number): Promise<number[]> {
    const revisions: number[] = []
    for (let index = 0; index < count; index += 1) revisions.push((await direct.put(`${prefix}key`, value)).revision)
    return revisions
  }

  function arrivedBytes(): number {
    return proxyAt(cluster, 0).bytesDown
  }

  test('applies backpressure in bounded memory and receives every event; others are not delayed', async (t) => {
    const prefix = uniquePrefix()
    const etcd = createClient(t, cluster)
    const [slow, unread, fast] = [
      etcd.watch({ prefix }, { maxBufferedEvents: 20 }),
      etcd.watch({ prefix }, { maxBufferedEvents: 20 }),
      etcd.watch({ prefix }),
    ]
    await Promise.all([slow, unread, fast].map((watcher) => watcher.ready()))
    const fastEvents: number[] = []
    const following = (async () => {
      for await (const { revision } of fast) fastEvents.push(revision)
    })()
    const slowIterator = slow[Symbol.asyncIterator]()
    const slowEvents: number[] = []
    const revisions: number[] = []
    const take = async (count: number): Promise<void> => {
      for (let taken = 0; taken < count; taken += 1) {
        const event: WatchEvent | undefined = (await slowIterator.next()).value
        if (event !== undefined) slowEvents.push(event.revision)
      }
    }
    for (let round = 0; round < 10; round += 1) {
      revisions.push(...(await write(prefix, 40)))
      await poll('the fast one has kept its pace', () => fastEvents.length === revisions.length || undefined)
      await take(15)
      assert.ok(slow.status.buffered < 60, `${slow.status.buffered} events are buffered`)
      assert.ok(unread.status.buffered < 60, `${unread.status.buffered} events are buffered`)
    }
    // 40 MB for the fast one; of what nobody has read, hardly more than fits into buffers here and on the way.
    await poll('the member is held back', async () => {
      const before = arrivedBytes()
      await sleep(100)
      return arrivedBytes() === before || undefined
    })
    assert.ok(arrivedBytes() < 75e6, `${arrivedBytes()} bytes have come`)
    t.diagnostic(`${Math.round(arrivedBytes() / 1e6)} MB have come for ${revisions.length} events of 100 kB`)
    assert.ok(slow.status.lag > 0, 'what has arrived does not show')
    await take(revisions.length - slowEvents.length)
    assert.deepEqual(slowEvents, revisions)
    assert.deepEqual(fastEvents, revisions)
    const unreadEvents: number[] = []
    for await (const { revision } of unread) {
      unreadEvents.push(revision)
      if (revision === revisions.at(-1)) break
    }
    assert.deepEqual(unreadEvents, revisions)
    await fast.close()
    await following
  })

  test('keeps buffered events when the history is compacted, and then gets the gap error', async (t) => {
    const prefix = uniquePrefix()
    const etcd = createClient(t, cluster)
    const watcher = etcd.watch({ prefix }, { maxBufferedEvents: 10 })
    await watcher.ready()
    const revisions = await write(prefix, 200)
    await poll('it is full', () => watcher.status.buffered >= 10 || undefined)
    const compacted = revisions.at(-1) ?? 0
    await direct.compact(compacted)
    const received: number[] = []
    const reading = (async () => {
      for await (const { revision } of watcher) received.push(revision)
    })()
    await assert.rejects(reading, { code: 'COMPACTED', compactRevision: compacted })
    assert.ok(received.length >= 10 && received.length < revisions.length)
    assert.deepEqual(received, revisions.slice(0, received.length))
  })

  test('does not accumulate unread progress notifications', async (t) => {
    if (!hasReliableProgress(cluster.version)) {
      t.skip(`the progress of ${cluster.version} is not trusted`)
      return
    }
    const etcd = createClient(t, cluster)
    const watcher = etcd.watch('quiet', { progress: true })
    await watcher.ready()
    let revision = 0
    for (let round = 0; round < 50; round += 1) {
      ;({ revision } = await direct.put('elsewhere', ''))
      watcher.requestProgress()
    }
    await poll('progress has come', () => {
      watcher.requestProgress()
      return watcher.status.revision >= revision || undefined
    })
    const batches = watcher.batches()
    const { value: batch } = await batches.next()
    assert.deepEqual([batch?.revision, batch?.events], [revision, []])
  })
})

describe('Watches created after the token expired', () => {
  test('get a new token on a new stream, and existing watches miss nothing', async (t) => {
    const flags = { 'auth-token-ttl': 2 }
    const cluster = await startCluster(t, { members: 3, auth: { rootPassword }, flags })
    const auth = { username: 'root', password: rootPassword }
    // This client does not know how short tokens live here, and makes no calls that would keep its own alive.
    const etcd = createClient(t, cluster, { auth })
    const write = async (key: string): Promise<number> => {
      const answer = await cluster.call('/v3/kv/put', { key: Buffer.from(key).toString('base64') })
      return Number((answer.header as { readonly revision: string }).revision)
    }
    const first = etcd.watch({ prefix: 'key/' })
    await first.ready()
    const received: number[] = []
    const following = (async () => {
      for await (const { revision, keyText } of first) {
        received.push(revision)
        if (keyText === 'key/last') break
      }
    })()
    const written: number[] = []
    let isOver = false
    const writing = (async () => {
      while (!isOver) {
        written.push(await write(`key/${written.length % 7}`))
        await sleep(5)
      }
      written.push(await write('key/last'))
    })()
    for (let round = 0; round < 2; round += 1) {
      await sleep(3500)
      const many = Array.from({ length: 50 }, (_, index) => etcd.watch(`other/${round}/${index}`))
      await Promise.all(many.map((watcher) => watcher.ready({ timeoutMs: 3000 })))
      await write(`other/${round}/49`)
      assert.equal((await many[49]?.[Symbol.asyncIterator]().next())?.value?.keyText, `other/${round}/49`)
    }
    isOver = true
    await writing
    await following
    t.diagnostic(`${received.length} events over ${first.status.reconnects} streams more`)
    assert.deepEqual(received, written)
    assert.ok(first.status.reconnects >= 1)
  })
})
