import assert from 'node:assert/strict'
import { before, beforeEach, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError, type WatchBatch } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, revive } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'

/** 20 is the full measure. */
const pauseSeconds = Number(process.env.ETCDKIT_WATCH_PAUSE_SECONDS ?? 2)
const members = [0, 1, 2]
const prefix = 'backlog/'
const revisions = 5000

describe('A watch in the middle of 5,000 revisions', () => {
  const cluster = useCluster({ members: 3 })
  /** What each revision wrote. */
  const expected: string[] = []
  let first = 0

  before(async () => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    const written = new Map<number, string>()
    const write = async (index: number): Promise<void> => {
      const [key, value] = [`${prefix}${index % 50}`, String(index).padEnd(200, '.')]
      const { revision } = await etcd.put(key, value)
      written.set(revision, `${revision} ${key} ${value}`)
    }
    for (let index = 0; index < revisions; index += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, offset) => write(index + offset)))
    }
    const inOrder = [...written].sort(([a], [b]) => a - b)
    first = inOrder[0]?.[0] ?? 0
    expected.push(...inOrder.map(([, received]) => received))
  })
  beforeEach(() => revive(cluster))

  /** Begins, and does something to the member that the watch is on as soon as part of the backlog has come. */
  async function disturbed(t: TestContext, disturb: (index: number) => Promise<void>) {
    const etcd = createClient(t, cluster)
    const watcher = etcd.watch({ prefix }, { startRevision: first })
    const received: string[] = []
    const following = follow(watcher.batches(), received)
    await poll('part of the backlog has come', () => received.length > 0 || undefined, { intervalMs: 1 })
    const before = received.length
    const { endpoint = '' } = watcher.status
    const on = cluster.endpoints.indexOf(endpoint)
    await disturb(on)
    assert.ok(before < revisions, 'all of it was there before')
    t.diagnostic(`after ${before} of ${revisions}`)
    return { etcd, watcher, received, following, on }
  }

  async function follow(batches: AsyncIterable<WatchBatch>, received: string[]): Promise<void> {
    for await (const { events } of batches) {
      for (const { revision, keyText, valueText } of events) received.push(`${revision} ${keyText} ${valueText}`)
      if (received.length >= revisions) return
    }
  }

  test('delivers each of them once and in order when its member is killed', async (t) => {
    const { received, following } = await disturbed(t, (index) => cluster.kill(index))
    await following
    assert.deepEqual(received, expected)
  })

  test(`delivers each of them once and in order when its member is frozen for ${pauseSeconds} s`, async (t) => {
    const { received, following, watcher, on } = await disturbed(t, (index) => cluster.pause(index))
    await sleep(pauseSeconds * 1000)
    await cluster.resume(on)
    await following
    t.diagnostic(`${watcher.status.reconnects} reconnects`)
    assert.deepEqual(received, expected)
  })

  test('moves to the majority when its member is partitioned from it', async (t) => {
    let on = 0
    const others = (): number[] => members.filter((index) => index !== on)
    const { etcd, received, following } = await disturbed(t, async (index) => {
      on = index
      await Promise.all(others().map((other) => cluster.pause(other)))
    })
    const quiet = etcd.watch('elsewhere')
    await quiet.ready()
    const lost: unknown[] = []
    etcd.on('watchLost', ({ error }) => lost.push(error))
    const cutOffAt = performance.now()
    const [error] = [await poll('the member is left', () => lost[0])]
    t.diagnostic(`left after ${Math.round(performance.now() - cutOffAt)} ms`)
    assert.ok(isEtcdError(error, 'NO_LEADER'), String(error))
    // To the client, this is the same as a partition: now the majority is there, and the member is not.
    await cluster.pause(on)
    await Promise.all(others().map((other) => cluster.resume(other)))
    await following
    assert.deepEqual(received, expected)
    const beside = createClient(t, { endpoints: others().map((index) => memberAt(cluster, index).endpoint) })
    const { revision } = await poll('the majority takes writes', () => beside.put('elsewhere', ''))
    const { value } = await quiet[Symbol.asyncIterator]().next()
    assert.equal(value?.revision, revision)
    assert.notEqual(quiet.status.endpoint, cluster.endpoints[on])
  })
})
