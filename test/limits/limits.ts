/**
 * The limits that take minutes to reach: 1,000,000 keys under one prefix, and a watch that starts 100 MB behind. Prints times
 * and memory.
 *
 *     npm run test:limits
 *     ETCDKIT_TRANSPORT=grpc-js ETCDKIT_ETCD_VERSION=3.4.23 npm run test:limits
 */
import assert from 'node:assert/strict'
import { before, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { put } from '../../src/index.js'
import { useClient, useCluster } from '../support/cluster.js'

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')
const mib = 2 ** 20

function heapBytes(): number {
  gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Samples the memory in use while something happens, without garbage. */
async function peakOf(work: () => Promise<void>): Promise<{ readonly peakBytes: number; readonly seconds: number }> {
  const start = heapBytes()
  const startedAt = performance.now()
  let peak = 0
  const timer = setInterval(() => {
    peak = Math.max(peak, heapBytes() - start)
  }, 250)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return { peakBytes: peak, seconds: (performance.now() - startedAt) / 1000 }
}

function report(t: TestContext, what: string, { peakBytes, seconds }: Awaited<ReturnType<typeof peakOf>>): void {
  t.diagnostic(`${what}: ${seconds.toFixed(1)} s, at most ${(peakBytes / mib).toFixed(0)} MiB of heap and buffers`)
}

describe('1,000,000 keys under one prefix', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster, { timeoutMs: 60_000 })
  const count = 1_000_000
  const prefix = 'many/'
  const nameOf = (index: number): string => `${prefix}${String(index).padStart(7, '0')}`

  before(async () => {
    let next = 0
    const write = async (): Promise<void> => {
      for (let first = next; first < count; first = next) {
        next += 128
        const indexes = Array.from({ length: Math.min(128, count - first) }, (_, offset) => first + offset)
        await etcd
          .txn()
          .then(...indexes.map((index) => put(nameOf(index), String(index))))
          .commit()
      }
    }
    await Promise.all(Array.from({ length: 8 }, write))
  })

  test('are listed in order, page by page, in bounded memory', async (t) => {
    let seen = 0
    const used = await peakOf(async () => {
      for await (const { key } of etcd.list({ prefix })) {
        if (key.toString('latin1') !== nameOf(seen)) assert.fail(`key ${seen} is ${key}`)
        seen += 1
      }
    })
    report(t, 'listed', used)
    assert.equal(seen, count)
    assert.ok(used.peakBytes < 200 * mib, 'the listing does not grow with the number of keys')
  })

  test('are refused as one range, which says how to read them', async () => {
    await assert.rejects(etcd.range({ prefix }), { code: 'RANGE_TOO_LARGE', effect: 'none' })
  })

  test('are followed by an informer while they change', async (t) => {
    const before = heapBytes()
    const informer = etcd.informer({ prefix })
    report(t, 'ready', await peakOf(async () => void (await informer.ready({ timeoutMs: 300_000 }))))
    const bytesPerKey = (heapBytes() - before) / count
    t.diagnostic(`${bytesPerKey.toFixed(0)} bytes for each key`)
    assert.equal(informer.size, count)
    assert.ok(bytesPerKey < 600)
    let revision = 0
    const changes = 20_000
    const followed = await peakOf(async () => {
      for (let first = 0; first < changes; first += 1000) {
        const written = await Promise.all(
          Array.from({ length: 1000 }, (_, offset) =>
            etcd.put(nameOf((first + offset) * 37), `changed ${first + offset}`),
          ),
        )
        revision = Math.max(revision, ...written.map((one) => one.revision))
      }
      await informer.waitForRevision(revision, { timeoutMs: 60_000 })
    })
    report(t, `${changes} changes`, followed)
    for (let index = 0; index < changes; index += 1) assert.equal(informer.get(nameOf(index * 37)), `changed ${index}`)
    assert.equal(informer.size, count)
    await informer.close()
  })
})

describe('A watch that starts 100 MB behind', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const count = 1000
  const bytes = 100_000
  const prefix = 'backlog/'

  test('gives every event once and in order to a slow consumer', async (t) => {
    let first = 0
    for (let index = 0; index < count; index += 1) {
      const value = Buffer.alloc(bytes, String(index).padStart(8, '0'))
      const { revision } = await etcd.put(`${prefix}${index % 10}`, value)
      first ||= revision
    }
    let seen = 0
    const used = await peakOf(async () => {
      for await (const { kv } of etcd.watch({ prefix }, { startRevision: first, maxBufferedEvents: 20 })) {
        assert.equal(kv.value.length, bytes)
        assert.equal(Number(kv.value.toString('latin1', 0, 8)), seen)
        seen += 1
        if (seen === 1) await sleep(3000)
        if (seen % 10 === 0) await sleep(5)
        if (seen === count) break
      }
    })
    report(t, 'read', used)
    // A member sends up to 1,000 revisions as one response, in fragments.
    assert.ok(used.peakBytes < 200 * mib)
  })
})
