import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { encodeRange } from '../../src/core/key-range.js'
import { deleteKey, Etcd, type KeyRange, put, type WatchBatch, type Watcher } from '../../src/index.js'
import { hasReliableProgress } from '../../src/watch/progress-support.js'
import { coveringRange, disjointRanges, hasKey } from '../../src/watch/range-union.js'
import { useCluster, useDirectClient, useProxy } from '../support/cluster.js'
import { uniquePrefix } from '../support/fixtures.js'

const transports = ['http2', 'grpc-js'] as const

describe('Ranges of one watch', () => {
  const union = (...ranges: readonly KeyRange[]): string[] =>
    disjointRanges(ranges.map(encodeRange)).map(
      ({ key, rangeEnd }) => `${key.toString('latin1')}..${rangeEnd.toString('latin1')}`,
    )

  test('are joined where they overlap or touch', () => {
    assert.deepEqual(union({ prefix: 'a' }, 'a', 'ab'), ['a..b'])
    assert.deepEqual(union('b', 'a'), ['a..', 'b..'])
    assert.deepEqual(union('a', 'a\0'), ['a..a\0\0'])
    assert.deepEqual(union({ from: 'c' }, { prefix: 'z' }, { from: 'a', to: 'b' }), ['a..b', 'c..\0'])
    assert.deepEqual(union({ from: 'a', to: 'c' }, { from: 'b', to: 'd' }, { prefix: 'd' }), ['a..e'])
    assert.deepEqual(union({ prefix: '' }, 'a'), ['\0..\0'])
  })

  test('are covered by one range, which is filtered by key', () => {
    const ranges = disjointRanges([encodeRange('b'), encodeRange({ prefix: 'd' })])
    assert.deepEqual(coveringRange(ranges), { key: Buffer.from('b'), rangeEnd: Buffer.from('e') })
    assert.deepEqual(
      ['a', 'b', 'b0', 'd', 'dz', 'e'].map((key) => hasKey(ranges, Buffer.from(key))),
      [false, true, false, true, true, false],
    )
  })
})

describe('A watch of several ranges', () => {
  const cluster = useCluster({ proxy: true })
  const direct = useDirectClient(cluster)
  const proxy = useProxy(cluster)
  const clients = new Map(transports.map((transport) => [transport, undefined as Etcd | undefined]))
  after(() => Promise.all([...clients.values()].map((client) => client?.close())))

  function clientOf(transport: (typeof transports)[number]): Etcd {
    const client = clients.get(transport) ?? new Etcd({ endpoints: cluster.endpoints, transport })
    clients.set(transport, client)
    return client
  }

  /** Reads batches up to a revision. */
  async function upTo(watcher: Watcher, revision: number): Promise<WatchBatch[]> {
    const batches: WatchBatch[] = []
    for await (const batch of watcher.batches()) {
      if (batch.events.length > 0) batches.push(batch)
      if (batch.revision >= revision) break
    }
    return batches
  }

  /** Events of one revision have no order among themselves. */
  const shown = (batches: readonly WatchBatch[]): string[] =>
    batches.map(
      ({ revision, events }) =>
        `${revision} ${events
          .map(({ type, keyText }) => `${type} ${keyText}`)
          .sort()
          .join(', ')}`,
    )

  for (const transport of transports) {
    test(`delivers whole revisions in order, over ${transport}`, async () => {
      const etcd = clientOf(transport)
      const prefix = uniquePrefix()
      const watcher = etcd.watch([{ prefix: `${prefix}a/` }, { key: `${prefix}b` }, { prefix: `${prefix}a/x` }])
      const start = await watcher.ready()
      await direct.put(`${prefix}a/1`, '')
      await direct.put(`${prefix}aa`, 'between the ranges')
      await direct.put(`${prefix}b`, '')
      await direct
        .txn()
        .then(put(`${prefix}b`, '2'), put(`${prefix}a/x`, ''), put(`${prefix}c`, ''))
        .commit()
      const { revision } = await direct
        .txn()
        .then(deleteKey(`${prefix}a/1`))
        .commit()
      assert.deepEqual(shown(await upTo(watcher, revision)), [
        `${start + 1} put ${prefix}a/1`,
        `${start + 3} put ${prefix}b`,
        `${start + 4} put ${prefix}a/x, put ${prefix}b`,
        `${start + 5} delete ${prefix}a/1`,
      ])
      assert.deepEqual([watcher.status.state, watcher.status.revision], ['ended', revision])
    })

    test(`misses and repeats nothing when its connections are cut, over ${transport}`, async () => {
      const etcd = clientOf(transport)
      const prefix = uniquePrefix()
      const { revision: start } = await direct.put(`${prefix}start`, '')
      const watcher = etcd.watch([{ prefix: `${prefix}a/` }, { prefix: `${prefix}b/` }, `${prefix}c`], {
        startRevision: start + 1,
      })
      await watcher.ready()
      const expected: string[] = []
      const writing = (async () => {
        for (let index = 0; index < 60; index += 1) {
          const names = [['a/1'], ['b/1'], ['c'], ['a/2', 'b/2'], ['d']][index % 5] ?? []
          const { revision } = await direct
            .txn()
            .then(...names.map((name) => put(prefix + name, String(index))))
            .commit()
          if (names[0] !== 'd') expected.push(`${revision} ${names.map((name) => `put ${prefix}${name}`).join(', ')}`)
          if (index % 20 === 10) proxy.cut()
        }
        return (await direct.put(`${prefix}c`, 'last')).revision
      })()
      const seen: string[] = []
      for await (const batch of watcher.batches()) {
        if (batch.events.length > 0) seen.push(...shown([batch]))
        if (batch.events.some(({ valueText }) => valueText === 'last')) break
      }
      expected.push(`${await writing} put ${prefix}c`)
      assert.deepEqual(seen, expected)
      assert.ok(watcher.status.reconnects > 0)
    })
  }

  test('delivers history, and waits for a slow consumer', async () => {
    const etcd = clientOf('http2')
    const prefix = uniquePrefix()
    const { revision: start } = await direct.put(`${prefix}start`, '')
    for (let index = 0; index < 100; index += 1)
      await direct.put(`${prefix}${index % 3 === 0 ? 'b' : 'a'}`, String(index))
    const watcher = etcd.watch([`${prefix}a`, `${prefix}b`], { startRevision: start + 1, maxBufferedEvents: 5 })
    const values: string[] = []
    for await (const { valueText } of watcher) {
      values.push(valueText)
      if (values.length % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      if (values.length === 100) break
    }
    assert.deepEqual(
      values,
      Array.from({ length: 100 }, (_, index) => String(index)),
    )
  })

  test('reports progress, and continues at its revision', async (t) => {
    const etcd = clientOf('http2')
    await etcd.connect()
    const [member] = etcd.endpoints()
    if (!hasReliableProgress(member?.version)) {
      t.skip('this member does not report progress')
      return
    }
    const prefix = uniquePrefix()
    const watcher = etcd.watch([`${prefix}a`, `${prefix}b`], { progress: true })
    await watcher.ready()
    const { revision } = await direct.put(`${prefix}c`, '')
    watcher.requestProgress()
    const batches = watcher.batches()
    const { value } = await batches.next()
    assert.ok(value !== undefined && value.events.length === 0 && value.revision >= revision)
    assert.ok(watcher.status.revision >= revision)
    await watcher.close()
    assert.equal((await batches.next()).done, true)
  })

  test('has the keys of its namespace, typed values, and ends with its signal', async () => {
    const prefix = uniquePrefix()
    const tenant = clientOf('http2').namespace(prefix)
    const controller = new AbortController()
    const watcher = tenant.watch([{ prefix: 'a/' }, 'b'], { signal: controller.signal })
    await watcher.ready()
    const { revision } = await direct
      .txn()
      .then(put(`${prefix}b`, ''), put(`${prefix}a/1`, ''))
      .commit()
    const events = watcher[Symbol.asyncIterator]()
    const keys = [(await events.next()).value?.keyText, (await events.next()).value?.keyText]
    assert.deepEqual(keys.sort(), ['a/1', 'b'])
    assert.equal(watcher.status.revision, revision)
    const reason = new Error('enough')
    const next = events.next()
    controller.abort(reason)
    await assert.rejects(next, reason)
  })

  test('ends with a `CompactedError` if its revisions are compacted', async () => {
    const prefix = uniquePrefix()
    const { revision } = await direct.put(`${prefix}a`, '1')
    const last = await direct.put(`${prefix}b`, '2')
    await direct.compact(last.revision)
    const watcher = clientOf('http2').watch([`${prefix}a`, `${prefix}b`], { startRevision: revision })
    await assert.rejects(
      async () => {
        for await (const _ of watcher) assert.fail()
      },
      { code: 'COMPACTED' },
    )
    assert.equal(watcher.status.state, 'ended')
  })

  test('refuses an empty array, and a resync', () => {
    const etcd = clientOf('http2')
    assert.throws(() => etcd.watch([]), /watch\(\) takes at least one range/)
    assert.throws(() => etcd.watch(['a', 'b'], { onCompacted: 'resync' }), /needs a watch of one range/)
    assert.throws(() => etcd.watch(['a', { prefx: 'b' } as never]), /the range must be .* with "prefx"/)
  })
})
