import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Etcd, type Keyspace } from '../../src/index.js'
import { ServiceEndpoints } from '../../src/naming/index.js'
import { poll } from '../../src/testing/index.js'
import { WorkQueue } from '../../src/workqueue/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { fill } from '../support/fixtures.js'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** What a round has made and ended. */
type Made = readonly (object | undefined)[]
/** Makes something, uses it and ends it, with the caller's signal where it takes one. */
type Round = (etcd: Etcd, signal: AbortSignal) => Promise<Made>

const prefix = 'data/'
const rounds = 3

async function refused(call: Promise<unknown>): Promise<Made> {
  await assert.rejects(call)
  return []
}

/** Aborts a call that waits. */
async function aborted(call: (signal: AbortSignal) => Promise<unknown>): Promise<Made> {
  const abort = new AbortController()
  const settled = assert.rejects(call(abort.signal))
  await turn()
  abort.abort(new Error('no longer'))
  await settled
  return [abort.signal]
}

/** Takes the first of an iteration and leaves it. */
async function left(iteration: AsyncIterable<unknown>): Promise<Made> {
  for await (const _ of iteration) break
  return [iteration]
}

const watches: Record<string, Round> = {
  'a watch that was ready': async (etcd, signal) => {
    const watcher = etcd.watch({ prefix }, { signal })
    await watcher.ready({ signal })
    await watcher.close()
    return [watcher]
  },
  'a watch that was never ready': async (etcd, signal) => {
    const watcher = etcd.watch({ prefix }, { signal, onCompacted: 'resync' })
    await watcher.close()
    return [watcher]
  },
  'a watch that was left': (etcd, signal) => left(etcd.watch({ prefix }, { startRevision: 2, signal })),
  'a watch with events that nobody has read': async (etcd, signal) => {
    const watcher = etcd.watch({ prefix }, { startRevision: 2, signal, maxBufferedEvents: 3 })
    await poll('events have come', () => watcher.status.buffered > 0 || undefined)
    await watcher.close()
    return [watcher]
  },
  'a watch whose signal aborts': (etcd) => aborted(async (signal) => left(etcd.watch('none', { signal }))),
  'an informer': async (etcd, signal) => {
    const informer = etcd.informer({ prefix })
    informer.on('change', () => {})
    await informer.ready({ signal })
    await left(informer.events({ signal }))
    await informer.waitForRevision(1, { signal })
    await informer.getFresh(`${prefix}000001`, { signal })
    await etcd.range(`${prefix}000001`, { mode: 'cached', signal })
    await informer.close()
    return [informer, informer.snapshot()]
  },
  'an informer that was never ready': async (etcd) => {
    const informer = etcd.informer({ prefix })
    await informer.close()
    return [informer]
  },
  'a value': async (etcd, signal) => {
    const value = etcd.value(`${prefix}000001`)
    value.onChange(() => {})
    await value.ready({ signal })
    await value.close()
    return [value]
  },
  'endpoints of a service': async (etcd, signal) => {
    const service = new ServiceEndpoints(etcd, 'service')
    const follower = service.subscribe({ onEndpoints() {}, onError() {} })
    await left(service.watch({ signal }))
    await follower.close()
    return [service, follower]
  },
  'a listing that was left': (etcd, signal) => left(etcd.list({ prefix }, { signal, maxPageSize: 50 })),
  'a snapshot that was left': async (etcd, signal) =>
    left(etcd.maintenance.snapshot({ endpoint: etcd.endpoints()[0]?.endpoint ?? '', signal })),
  'a snapshot that failed': async (_, signal) => {
    await using client = new Etcd({ endpoints: 'http://127.0.0.1:1', connectTimeoutMs: 20 })
    return refused(left(client.maintenance.snapshot({ endpoint: 'http://127.0.0.1:1', signal })))
  },
}

const locks: Record<string, Round> = {
  'a lock': async (etcd, signal) => {
    const lock = await etcd.lock('free', { signal })
    await lock.release()
    return [lock]
  },
  'a wait for a lock': (etcd, signal) => refused(etcd.lock('held', { signal, timeoutMs: 5 })),
  'a wait for a lock that was aborted': (etcd) => aborted((signal) => etcd.lock('held', { signal })),
  'a lock that another has': (etcd, signal) => refused(etcd.tryLock('held', { signal })),
  'work under a lock': async (etcd, signal) => [await etcd.withLock('work', { signal }, async (lock) => lock)],
  'several locks': async (etcd, signal) => {
    const all = await etcd.lockAll(['first', 'second'], { signal })
    await all.release()
    return [all]
  },
  'a read lock': async (etcd, signal) => {
    const grant = await etcd.rwLock('free/rw').read({ signal })
    await grant.release()
    return [grant]
  },
  'a wait for a read lock': (etcd, signal) => refused(etcd.rwLock('held/rw').read({ signal, timeoutMs: 5 })),
  'a permit': async (etcd, signal) => {
    const grant = await etcd.semaphore('free/permits', 2).acquire({ signal })
    await grant.release()
    return [grant]
  },
  'a permit that there is none of': (etcd, signal) => refused(etcd.semaphore('held/permits', 1).tryAcquire({ signal })),
  'a leadership': async (etcd, signal) => {
    const leadership = await etcd.election('free/election').campaign('value', { signal })
    await leadership.resign()
    return [leadership]
  },
  'a candidate who gave up': (etcd) => aborted((signal) => etcd.election('held/election').campaign('b', { signal })),
  'an observer who left': (etcd, signal) => left(etcd.election('held/election').observe({ signal })),
  'a wait at a barrier': (etcd) => aborted((signal) => etcd.barrier('held/barrier').wait({ signal })),
  'a barrier that is not held': async (etcd, signal) => {
    await etcd.barrier('free/barrier').wait({ signal, timeoutMs: 60_000 })
    return []
  },
  'a double barrier': async (etcd, signal) => {
    const entry = await etcd.doubleBarrier('free/double', 1).enter({ signal, timeoutMs: 60_000 })
    await entry.leave({ signal, timeoutMs: 60_000 })
    return [entry]
  },
  'an item': async (etcd, signal) => {
    await etcd.queue('free/queue').enqueue('item', { signal })
    return [await etcd.queue('free/queue').dequeue({ signal, timeoutMs: 60_000 })]
  },
  'a wait for others': (etcd) => aborted((signal) => etcd.doubleBarrier('none/barrier', 9).enter({ signal })),
  'a wait for an item': (etcd) => aborted((signal) => etcd.queue('none/queue').dequeue({ signal })),
  'a wait for the first item': (etcd, signal) =>
    refused(etcd.priorityQueue('none/first').dequeue({ signal, timeoutMs: 5 })),
}

const others: Record<string, Round> = {
  'a lease that was revoked': async (etcd, signal) => {
    const lease = await etcd.lease.grant(30, { signal })
    await lease.revoke()
    return [lease]
  },
  'a lease that was closed': async (etcd, signal) => {
    const lease = await etcd.lease.grant(1, { signal })
    await lease.close()
    return [lease]
  },
  'a registration': async (etcd, signal) => {
    const registration = await etcd.register('registered', 'value', { signal })
    await registration.close()
    return [registration]
  },
  'a compactor': async (etcd) => {
    const compactor = etcd.compactor()
    await compactor.close()
    return [compactor]
  },
  'a mirror': async (etcd, signal) => {
    const mirror = etcd.mirror(`${prefix}00000`, etcd.namespace('copies/'))
    await mirror.synced(0, { signal })
    await mirror.close()
    return [mirror]
  },
  'a work queue': async () => {
    const queue = new WorkQueue(async () => {}, { onError() {} })
    queue.add('item')
    await queue.idle()
    await queue.close()
    return [queue]
  },
  'a namespace and a batcher': async (etcd, signal) => {
    const spaces: Keyspace[] = [etcd.namespace('space/'), etcd.batcher()]
    for (const space of spaces) {
      await Promise.all([space.put('a', '1', { signal }), space.put('b', '2', { signal })])
      await left(space.watch('a', { startRevision: 1, signal, onCompacted: 'resync' }))
    }
    return spaces
  },
  calls: async (etcd, signal) => {
    await etcd.get('a', { signal })
    await etcd.put('ttl', 'value', { ttlSeconds: 30, signal })
    await etcd.stm(async (transaction) => transaction.put('stm', 'value'), { signal })
    await etcd.health({ signal })
    return []
  },
  'a client': async (etcd, signal) => {
    const client = new Etcd({ endpoints: etcd.endpoints().map(({ endpoint }) => endpoint) })
    await client.put('client', 'value', { signal })
    const [informer, watcher] = [client.informer({ prefix }), client.watch('client', { signal })]
    await informer.ready({ signal })
    const lock = await client.lock('client', { signal })
    await client.close()
    return [client, informer, watcher, lock]
  },
  'a client that reaches nobody': async (_, signal) => {
    const client = new Etcd({ endpoints: 'http://127.0.0.1:1' })
    const [informer, watcher] = [client.informer({ prefix }), client.watch('name', { signal })]
    await assert.rejects(client.get('name', { signal, timeoutMs: 50 }))
    const waiting = assert.rejects(client.get('name', { signal }))
    await client.close()
    await waiting
    return [client, informer, watcher]
  },
}

describe('Nothing is left after the end', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const holder = useClient(cluster)
  const { signal } = new AbortController()

  before(async () => {
    await fill(etcd.namespace(prefix), 200, 'x'.repeat(1000))
    await holder.lock('held')
    await holder.rwLock('held/rw').write()
    await holder.semaphore('held/permits', 1).acquire()
    await holder.barrier('held/barrier').hold()
    await holder.election('held/election').campaign('a')
  })

  /** References to all that some rounds have made. */
  async function run(round: Round, count: number): Promise<WeakRef<object>[]> {
    const references: WeakRef<object>[] = []
    for (let index = 0; index < count; index += 1) {
      const made = await round(etcd, signal)
      for (const one of made) if (one !== undefined) references.push(new WeakRef(one))
    }
    return references
  }

  /** How many are still there. A few turns of the loop end what is ended in the background. */
  async function kept(references: readonly WeakRef<object>[]): Promise<number> {
    await turn()
    collectGarbage()
    return references.filter((reference) => reference.deref() !== undefined).length
  }

  async function assertNothingLeft(round: Round): Promise<void> {
    await run(round, 1)
    const chained = chainedTo(signal)
    const references = await run(round, rounds)
    await poll('all of it is collected', async () => (await kept(references)) === 0 || undefined)
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
    assert.equal(chainedTo(signal), chained, 'signals are chained to that of the caller')
  }

  /** What the member has of this process. */
  async function atMember(): Promise<number[]> {
    const metric = (name: string, labels = {}) => memberAt(cluster, 0).metric(name, labels)
    const streams = { grpc_type: 'bidi_stream' }
    return Promise.all([
      metric('etcd_debugging_mvcc_watcher_total'),
      metric('etcd_debugging_mvcc_watch_stream_total'),
      Promise.all([metric('grpc_server_started_total', streams), metric('grpc_server_handled_total', streams)]).then(
        ([started, handled]) => started - handled,
      ),
    ])
  }

  async function unchanged(t: TestContext, rest: readonly number[]): Promise<void> {
    await poll('watchers and streams of the member have ended', async () => {
      const now = await atMember()
      return now.every((count, index) => count <= (rest[index] ?? 0)) || undefined
    }).catch(async (error: unknown) => {
      t.diagnostic(`${await atMember()} after ${rest}`)
      throw error
    })
  }

  for (const [name, round] of Object.entries({ ...watches, ...locks, ...others })) {
    test(`of ${name}`, () => assertNothingLeft(round))
  }

  test("of an informer's file", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-leaks-'))
    t.after(() => rmSync(folder, { recursive: true }))
    await assertNothingLeft(async () => {
      const informer = etcd.informer({ prefix }, { persist: join(folder, 'state') })
      await informer.ready()
      await informer.close()
      return [informer]
    })
  })

  test('at the member and in the heap', async (t) => {
    const all = Object.values({ ...watches, ...locks, ...others })
    const pass = async (): Promise<number> => {
      for (const round of all) await run(round, 1)
      for (let count = 0; count < 3; count += 1) await kept([])
      return process.memoryUsage().heapUsed
    }
    await pass()
    const rest = await atMember()
    const heap = await pass()
    const grown = (await pass()) - heap
    // One informer of these keys alone has 200 kB.
    assert.ok(grown < 2_000_000, `the heap has grown by ${grown} bytes`)
    await unchanged(t, rest)
  })

  test('of all clients, and no handle keeps the process alive', async (t) => {
    const handles = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
    const before = handles()
    const another = new Etcd({ endpoints: cluster.endpoints })
    await another.watch({ prefix }).ready()
    await another.lock('another')
    await another.close()
    await poll('its sockets are closed', () => handles() <= before || undefined)
    await Promise.all([etcd.close(), holder.close()])
    await unchanged(t, [0, 0, 0])
  })
})

/** Signals that were made of this one by `AbortSignal.any`, which Node keeps a note of in it. */
function chainedTo(signal: AbortSignal): number {
  const symbol = Object.getOwnPropertySymbols(signal).find((symbol) => String(symbol).includes('kDependantSignals'))
  const chained: { readonly size: number } | undefined = symbol === undefined ? undefined : Reflect.get(signal, symbol)
  return chained?.size ?? 0
}
