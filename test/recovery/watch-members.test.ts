import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, type TestContext, test } from 'node:test'
import { type ClientEvents, type ClientOptions, Etcd, isEtcdError } from '../../src/index.js'
import { EtcdCluster, poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, revive } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { Load } from '../support/load.js'
import { within } from '../support/slack.js'
import { collectTo, History, watchViolations } from '../support/watch-history.js'

const members = [0, 1, 2]

describe('A watch on a failing member', () => {
  const cluster = useCluster({ members: 3 })

  beforeEach(() => revive(cluster))

  /** An open watch, its client's events, and a history to compare with. */
  async function watching(t: TestContext, options: ClientOptions = {}) {
    const prefix = uniquePrefix()
    const etcd = createClient(t, cluster, options)
    const lost: ClientEvents['watchLost'][] = []
    const resumed: ClientEvents['watchResumed'][] = []
    etcd.on('watchLost', (event) => lost.push(event))
    etcd.on('watchResumed', (event) => resumed.push(event))
    const watcher = etcd.watch({ prefix }, { prevKv: true })
    const revision = await watcher.ready()
    return { etcd, prefix, watcher, revision, lost, resumed, on: placeOf(watcher.status.endpoint) }
  }

  function placeOf(endpoint: string | undefined): number {
    return cluster.endpoints.indexOf(endpoint ?? '')
  }

  /** A client of all members but this one. */
  function clientBeside(t: TestContext, index: number): Etcd {
    return createClient(t, { endpoints: cluster.endpoints.filter((_, other) => other !== index) })
  }

  /** Compares the events of the watch up to `revision` with the history. */
  async function assertComplete({ prefix, watcher, revision: from }: Awaited<ReturnType<typeof watching>>, to: number) {
    const batches = await collectTo(watcher.batches(), to)
    await cluster.healthy()
    await using reader = new Etcd({ endpoints: cluster.endpoints })
    const history = new History(reader, prefix, from)
    await history.readTo(to)
    assert.deepEqual(watchViolations({ name: 'watch', from: from + 1, prevKv: true, batches }, history.changes), [])
    return batches
  }

  test('moves to another member immediately when its member is killed', async (t) => {
    const watched = await watching(t)
    const writer = clientBeside(t, watched.on)
    await writer.put(`${watched.prefix}key`, 'before')
    await cluster.kill(watched.on)
    await poll('the watch has moved', () => watched.resumed[0])
    // It may have been the leader, and the write lost with it.
    const { revision } = await poll('writes go on', () => writer.put(`${watched.prefix}key`, 'after'))
    await cluster.restart(watched.on)
    await assertComplete(watched, revision)
    const downMs = watched.resumed[0]?.downMs ?? Number.NaN
    t.diagnostic(`down for ${Math.round(downMs)} ms`)
    assert.ok(downMs < within(1000))
    assert.deepEqual([watched.lost.length, watched.lost[0]?.watches], [1, 1])
  })

  test('moves within the keepalive time when its member freezes, and sooner beside calls', async (t) => {
    const settings = { keepaliveMs: 5000, keepaliveTimeoutMs: 1000 }
    const [idle, busy] = [await watching(t, settings), await watching(t, settings)]
    // All on one member, so that one pause is enough.
    while (busy.watcher.status.endpoint !== idle.watcher.status.endpoint) {
      await busy.watcher.close()
      Object.assign(busy, { watcher: busy.etcd.watch({ prefix: busy.prefix }, { prevKv: true }) })
      Object.assign(busy, { revision: await busy.watcher.ready() })
    }
    await using load = new Load(() => busy.etcd.get('key', { timeoutMs: 5000 }))
    const pausedAt = performance.now()
    await cluster.pause(idle.on)
    const frozen = cluster.endpoints[idle.on]
    const leftAfter = ({ watcher }: typeof idle): Promise<number> =>
      poll('the frozen member is left', () => {
        const { state, endpoint } = watcher.status
        return state === 'active' && endpoint !== frozen ? performance.now() - pausedAt : undefined
      })
    const [idleMs, busyMs] = await Promise.all([leftAfter(idle), leftAfter(busy)])
    await load.stop()
    t.diagnostic(`left after ${Math.round(idleMs)} ms when idle, ${Math.round(busyMs)} ms under load`)
    assert.ok(idleMs < within(7500), `${idleMs} ms`)
    assert.ok(busyMs < within(3000), `${busyMs} ms`)
    const writer = clientBeside(t, idle.on)
    const { revision } = await poll('writes go on', () => writer.put(`${idle.prefix}key`, 'value'))
    await cluster.resume(idle.on)
    await assertComplete(idle, revision)
  })

  test('leaves a frozen member within moments when it is opened on one', async (t) => {
    // Each begins with a random member, so some of them begin with that one.
    const clients = Array.from({ length: 30 }, () => createClient(t, cluster))
    for (const etcd of clients) await etcd.connect()
    const frozen = (await cluster.leader()) === 0 ? 1 : 0
    await cluster.pause(frozen)
    const startedAt = performance.now()
    const readyMs = clients.map(async (etcd) => {
      await etcd.watch('key').ready()
      return performance.now() - startedAt
    })
    const slowestMs = Math.max(...(await Promise.all(readyMs)))
    await cluster.resume(frozen)
    t.diagnostic(`there after ${Math.round(slowestMs)} ms at the latest`)
    assert.ok(slowestMs > 2500, 'no stream was opened on the frozen member')
    assert.ok(slowestMs < within(6000), `${slowestMs} ms`)
  })

  test('moves without a gap while its member shuts down gracefully', async (t) => {
    const watched = await watching(t)
    const writer = clientBeside(t, watched.on)
    let revision = 0
    await using load = new Load(
      async () => {
        ;({ revision } = await writer.put(`${watched.prefix}key`, 'value', { timeoutMs: 20_000 }))
      },
      { workers: 1 },
    )
    const startedAt = performance.now()
    const terminated = cluster.terminate(watched.on)
    const [{ downMs }] = [await poll('the watch has moved', () => watched.resumed[0])]
    const movedMs = performance.now() - startedAt
    await terminated
    await load.stop()
    await cluster.restart(watched.on)
    const batches = await assertComplete(watched, revision)
    t.diagnostic(`moved after ${Math.round(movedMs)} ms, down for ${Math.round(downMs)} ms, ${batches.length} events`)
    assert.ok(downMs < within(1000))
    assert.match(String(watched.lost[0]?.error), /closes its connections/)
  })

  test('leaves a partitioned member within the election timeout', async (t) => {
    const watched = await watching(t)
    const others = members.filter((index) => index !== watched.on)
    await Promise.all(others.map((index) => cluster.pause(index)))
    const pausedAt = performance.now()
    const [{ error }] = [await poll('the member is left', () => watched.lost[0])]
    const leftMs = performance.now() - pausedAt
    t.diagnostic(`left after ${Math.round(leftMs)} ms`)
    assert.ok(isEtcdError(error, 'NO_LEADER'), String(error))
    // Three elections of 500 ms, and the member looks every 500 ms.
    assert.ok(leftMs < within(5000))
    await Promise.all(others.map((index) => cluster.resume(index)))
    const { revision } = await poll('writes go on', () => watched.etcd.put(`${watched.prefix}key`, 'value'))
    await assertComplete(watched, revision)
  })

  test('survives a rolling restart of all members under writes without a gap', async (t) => {
    const watched = await watching(t)
    const { etcd, prefix } = watched
    let count = 0
    await using load = new Load(() => etcd.put(`${prefix}${count++ % 50}`, String(count), { timeoutMs: 5000 }), {
      workers: 2,
      restMs: 10,
    })
    const waiting = new Set(members)
    while (waiting.size > 0) {
      await poll('the watch is there', () => watched.watcher.status.state === 'active' || undefined)
      // The one that the watch is on comes first, so that it has to move at least twice.
      const [other = 0] = waiting
      const index = waiting.has(placeOf(watched.watcher.status.endpoint))
        ? placeOf(watched.watcher.status.endpoint)
        : other
      waiting.delete(index)
      await cluster.terminate(index)
      await cluster.restart(index)
      await cluster.healthy()
      const wanted = load.successes + 20
      await poll('writes go on', () => load.successes >= wanted || undefined)
    }
    await load.stop()
    const { revision } = await etcd.put(`${prefix}last`, '')
    const batches = await assertComplete(watched, revision)
    t.diagnostic(`${batches.length} revisions, ${watched.lost.length} moves, ${load.failures.length} failed writes`)
    assert.ok(watched.lost.length >= 2)
  })
})

describe('A watch on a cluster of one member', () => {
  let cluster: EtcdCluster

  beforeEach(async () => {
    cluster = await EtcdCluster.start()
  })
  afterEach(() => cluster.stop())

  async function watchedTo(t: TestContext, count: number) {
    const etcd = createClient(t, cluster)
    const watcher = etcd.watch('key')
    await watcher.ready()
    for (let index = 0; index < count; index += 1) await etcd.put('key', String(index))
    await poll('all has arrived', () => watcher.status.buffered === count || undefined)
    return watcher
  }

  test('ends with a typed error when the cluster was restored from a backup', async (t) => {
    const { dataDir } = memberAt(cluster, 0)
    await cluster.kill(0)
    cpSync(dataDir, `${dataDir}-backup`, { recursive: true })
    await cluster.restart(0)
    const watcher = await watchedTo(t, 10)
    await cluster.kill(0)
    rmSync(dataDir, { recursive: true })
    cpSync(`${dataDir}-backup`, dataDir, { recursive: true })
    await cluster.restart(0)
    await assertEndsAfter(watcher, 10, 'REVISION_REWOUND')
  })

  test('ends with a typed error when another cluster replaced it', async (t) => {
    const watcher = await watchedTo(t, 10)
    await cluster.kill(0)
    rmSync(memberAt(cluster, 0).dataDir, { recursive: true })
    await cluster.restart(0, { flags: { 'initial-cluster-token': 'another' } })
    await assertEndsAfter(watcher, 10, 'CLUSTER_CHANGED')
  })

  async function assertEndsAfter(watcher: AsyncIterable<unknown>, count: number, code: string): Promise<void> {
    const iterator = watcher[Symbol.asyncIterator]()
    for (let taken = 0; taken < count; taken += 1) await iterator.next()
    await assert.rejects(iterator.next(), { code })
  }
})
