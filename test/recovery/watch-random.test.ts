import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { deleteKey, Etcd, isEtcdError, put, type WatchBatch, type WatchOptions } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { StreamCall } from '../../src/transport/connection/stream-call.js'
import { hasReliableProgress } from '../../src/watch/progress-support.js'
import { WatchStream } from '../../src/watch/watch-stream.js'
import { useCluster, useDirectClient } from '../support/cluster.js'
import { randomFrom } from '../support/random.js'
import { collectTo, History, type WatchRecord, watchViolations } from '../support/watch-history.js'

/** 60 is the full measure. */
const seconds = Number(process.env.ETCDKIT_WATCH_SECONDS ?? 8)
const prefix = 'random/'

type Random = () => number

/** What of history is gone or going, and what has to stay for now. */
interface Compaction {
  at: number
  /** The last revision that nobody needs. */
  limit: number
}

/** What a watch of a variant has delivered so far. */
interface Observed extends WatchRecord {
  readonly batches: WatchBatch[]
}

describe('Watches under random writes, compactions, cuts and restarts', () => {
  const cluster = useCluster({
    members: 3,
    proxy: true,
    // Answers above 576 KiB are split; members report progress all the time.
    flags: { 'max-request-bytes': 65_536, 'watch-progress-notify-interval': '100ms' },
  })
  const direct = useDirectClient(cluster)

  async function writeUntil(isOver: () => boolean, random: Random): Promise<void> {
    for (let count = 0; !isOver(); count += 1) {
      const keys = new Set(Array.from({ length: 1 + Math.floor(random() ** 3 * 6) }, () => Math.floor(random() * 30)))
      const operations = [...keys].map((name) => {
        const key = `${prefix}${name}`
        return random() < 0.3 ? deleteKey(key) : put(key, `${count} `.padEnd(Math.floor(random() ** 2 * 10_000), 'x'))
      })
      await tolerant(() =>
        direct
          .txn()
          .then(...operations)
          .commit({ timeoutMs: 3000 }),
      )
    }
  }

  async function disturbUntil(isOver: () => boolean, random: Random): Promise<string[]> {
    const observed: string[] = []
    while (!isOver()) {
      await sleep(100 + random() * 900)
      observed.push(await disturb(Math.floor(random() * 3), random))
    }
    for (const { proxy } of cluster.members) proxy?.heal()
    await cluster.healthy()
    return observed
  }

  async function disturb(index: number, random: Random): Promise<string> {
    const proxy = cluster.members[index]?.proxy
    const kind = random()
    if (kind < 0.3) {
      proxy?.cut()
      return 'cut'
    }
    if (kind < 0.5) {
      void proxy?.cutAfter({ direction: 'down', bytes: Math.floor(random() * 300_000) })
      return 'cut later'
    }
    if (kind < 0.65) {
      proxy?.blackhole()
      await sleep(random() * 1000)
      proxy?.heal()
      return 'black hole'
    }
    await (kind < 0.85 ? cluster.kill(index) : cluster.terminate(index))
    await sleep(random() * 500)
    await cluster.restart(index)
    await cluster.healthy()
    return kind < 0.85 ? 'kill' : 'shutdown'
  }

  /** What is compacted has been read before, and every watch is past it. */
  async function compactUntil(isOver: () => boolean, compaction: Compaction, history: History, behind: () => number) {
    let compactions = 0
    while (!isOver()) {
      await sleep(1000)
      compaction.at = Math.min(behind(), compaction.limit)
      const isDone = await tolerant(async () => {
        await history.readTo(compaction.at)
        await direct.compact(compaction.at, { timeoutMs: 3000 })
      })
      if (isDone) compactions += 1
    }
    return compactions
  }

  /** Follows the prefix until the signal aborts; returns how often the stream was lost. */
  async function follow(etcd: Etcd, { name, from, batches }: Observed, options: WatchOptions, ends: AbortSignal) {
    const watcher = etcd.watch({ prefix }, { ...options, startRevision: from, signal: ends })
    try {
      for await (const batch of watcher.batches()) batches.push(batch)
    } catch (error) {
      if (error !== ends.reason) throw new Error(`${name} ended`, { cause: error })
    }
    return watcher.status.reconnects
  }

  /** Leaves the watch again and again, and goes on from where it was; returns how often. */
  async function resume(etcd: Etcd, { from, batches }: Observed, ends: AbortSignal, random: Random): Promise<number> {
    let times = 0
    for (; !ends.aborted; times += 1) {
      const startRevision = (batches.at(-1)?.revision ?? from - 1) + 1
      await using watcher = etcd.watch({ prefix }, { startRevision, progress: true })
      const leave = (): void => void watcher.close()
      const timer = setTimeout(leave, 100 + random() * 500)
      ends.addEventListener('abort', leave, { once: true })
      for await (const batch of watcher.batches()) batches.push(batch)
      ends.removeEventListener('abort', leave)
      clearTimeout(timer)
    }
    return times
  }

  /** Begins again and again with all that is left of history, which mostly comes in fragments. */
  async function replay(etcd: Etcd, compaction: Compaction, behind: () => number, isOver: () => boolean) {
    const replays: Observed[] = []
    for (; !isOver(); await sleep(100)) {
      const [from, to] = [compaction.at + 1, behind()]
      if (to < from) continue
      compaction.limit = compaction.at
      const batches = await collectTo(etcd.watch({ prefix }, { startRevision: from, progress: true }).batches(), to)
      compaction.limit = Number.POSITIVE_INFINITY
      replays.push({ name: `replay from ${from}`, from, to: batches.at(-1)?.revision, batches })
    }
    return replays
  }

  test('are ordered, unique, reliable, atomic, resumable and bookmarkable', async (t) => {
    const seed = Date.now() % 100_000
    t.diagnostic(`seed ${seed}`)
    const fragments = countFragments(t)
    asksForEither(t, randomFrom(seed + 4))
    const etcd = new Etcd({ endpoints: cluster.endpoints, keepaliveMs: 5000, keepaliveTimeoutMs: 1000 })
    t.after(() => etcd.close())
    const { revision: start } = await direct.range({ prefix })
    const history = new History(direct, prefix, start)
    const until = performance.now() + seconds * 1000
    const isOver = (): boolean => performance.now() > until

    const observed = (name: string, only?: WatchOptions['only'], prevKv?: boolean): Observed => ({
      ...{ name, only, prevKv, from: start + 1, batches: [] },
    })
    const variants: readonly WatchOptions[] = [
      {},
      { prevKv: true },
      { only: 'put' },
      { only: 'delete' },
      { maxBufferedEvents: 20 },
    ]
    const followed = variants.map((options) => ({
      options: { ...options, progress: true },
      record: observed(JSON.stringify(options), options.only, options.prevKv),
    }))
    const resumed = observed('resumed')
    const records = [...followed.map(({ record }) => record), resumed]
    const ends = new AbortController()
    const following = followed.map(({ record, options }) => follow(etcd, record, options, ends.signal))
    const resuming = resume(etcd, resumed, ends.signal, randomFrom(seed + 2))
    // The last lines show a failure, whatever failed before them.
    for (const watching of [...following, resuming]) watching.catch(() => {})

    const compaction = { at: start, limit: Number.POSITIVE_INFINITY }
    const behind = (): number => Math.min(...records.map(({ batches }) => batches.at(-1)?.revision ?? start))
    const [compactions, replays, disturbances] = await Promise.all([
      compactUntil(isOver, compaction, history, behind),
      replay(etcd, compaction, behind, isOver),
      disturbUntil(isOver, randomFrom(seed + 1)),
      writeUntil(isOver, randomFrom(seed)),
      writeUntil(isOver, randomFrom(seed + 3)),
    ])
    const last = await settle(records)
    await history.readTo(last)
    ends.abort(new Error('over'))
    const [reconnects, times] = [await Promise.all(following), await resuming]
    t.diagnostic(`${history.changes.length} changes in ${last - start} revisions, ${compactions} compactions`)
    t.diagnostic(tally(disturbances))
    t.diagnostic(
      `${reconnects} reconnects, ${times} times resumed, ${replays.length} replays, ${fragments()} fragments`,
    )
    assert.deepEqual(
      [...records, ...replays].flatMap((record) => watchViolations(record, history.changes)),
      [],
    )
    const enough = times > seconds / 2 && replays.length > 0 && fragments() > 0
    assert.ok(enough, `too few: ${times} resumes, ${replays.length} replays, ${fragments()} fragments`)
    const busy = history.changes.length > 50 * seconds && compactions > 0 && disturbances.length > seconds / 4
    assert.ok(busy, 'too few changes, compactions or disturbances')
  })

  /** Bookmarks of a quiet cluster come to its last revision, also where a filter leaves everything out. */
  async function settle(records: readonly Observed[]): Promise<number> {
    const { revision: lastPut } = await direct.put(`${prefix}last`, '', { timeoutMs: 20_000 })
    const { revision: lastDelete } = await direct.delete(`${prefix}last`)
    const { revision: last } = await direct.put('elsewhere', '')
    const lastEvent = (only: WatchOptions['only']): number => (only === 'put' ? lastPut : lastDelete)
    const isThere = ({ batches, only }: Observed): boolean =>
      (batches.at(-1)?.revision ?? 0) >= (hasReliableProgress(cluster.version) ? last : lastEvent(only))
    await poll(`all are at ${last}`, () => records.every(isThere) || undefined)
    return last
  }

  test('expose a watch that loses an event, repeats one or runs ahead', async () => {
    const own = 'controls/'
    const { revision } = await direct.put(`${own}a`, '1')
    const history = new History(direct, own, revision - 1)
    await direct.put(`${own}b`, '2')
    await direct.delete(`${own}a`)
    const { revision: last } = await direct.put(`${own}b`, '3')
    await history.readTo(last)
    const changes = history.changes.filter((change) => change.revision >= revision + 1)
    const batches = await collectTo(direct.watch({ prefix: own }, { startRevision: revision + 1 }).batches(), last)
    const [first, second, third] = batches
    if (first === undefined || second === undefined || third === undefined) throw new Error('there are three')
    const verdict = (observed: readonly WatchBatch[], only?: 'put'): string =>
      watchViolations({ name: 'watch', from: revision + 1, only, batches: observed }, changes).join('\n')
    assert.equal(verdict(batches), '')
    assert.match(verdict([first, third]), /1 are missing/)
    assert.match(verdict([first, second, second, third]), /comes after .*\n.*1 came twice/)
    assert.match(verdict([first, third, second]), /comes after/)
    assert.match(verdict([first, { revision: second.revision, events: [] }, second, third]), /comes after/)
    const merged = { revision: second.revision, events: [...first.events, ...second.events] }
    assert.match(verdict([merged, third]), /holds others/)
    assert.match(verdict(batches, 'put'), /1 have not happened/)
  })
})

/** Whether the call was successful; what a disturbed cluster may do to it is no failure of the test. */
async function tolerant(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call()
    return true
  } catch (error) {
    if (!isEtcdError(error)) throw error
    return false
  }
}

/** Counts the answers that members have split. */
function countFragments(t: TestContext): () => number {
  const { onMessage } = WatchStream.prototype
  let fragments = 0
  t.mock.method(
    WatchStream.prototype,
    'onMessage',
    function (this: WatchStream, ...[response]: Parameters<typeof onMessage>) {
      if (response.fragment) fragments += 1
      onMessage.call(this, response)
    },
  )
  return () => fragments
}

/** Half of the watchers ask for fragments, as those on a large database do, and half for whole answers. */
function asksForEither(t: TestContext, random: Random): void {
  t.mock.getter(StreamCall.prototype, 'dataBytes', () => (random() < 0.5 ? undefined : 0))
}

function tally(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(', ')
}
