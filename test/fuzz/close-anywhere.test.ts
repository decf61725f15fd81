import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { Etcd, EtcdError, put } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { collect } from '../support/fixtures.js'
import { randomFrom } from '../support/random.js'
import { within } from '../support/slack.js'

type Operation = (etcd: Etcd) => Promise<unknown>

const prefix = { prefix: 'close/' }

async function firstOf(iterable: AsyncIterable<unknown>): Promise<unknown> {
  for await (const item of iterable) return item
  return undefined
}

/** Public operations that use every kind of call, stream, wait and timer. None ends sooner because it fails. */
const operations: Readonly<Record<string, Operation>> = {
  connect: (etcd) => etcd.connect(),
  put: (etcd) => etcd.put('close/a', '1'),
  get: (etcd) => etcd.get('close/a'),
  list: (etcd) => collect(etcd.list(prefix)),
  txn: (etcd) => etcd.txn().then(put('close/t', '1')).commit(),
  update: (etcd) => etcd.update('close/u', (kv) => `${(kv?.valueText ?? '').slice(-20)}+`),
  stm: (etcd) => etcd.stm(async (tx) => tx.put('close/s', String(await tx.get('close/s')))),
  batcher: (etcd) => Promise.all(['x', 'y'].map((name) => etcd.batcher().put(`close/${name}`, '1'))),
  watch: (etcd) => firstOf(etcd.watch(prefix, { startRevision: 1 })),
  'watch without events': (etcd) => firstOf(etcd.watch('close-none')),
  informer: (etcd) => etcd.informer(prefix).ready(),
  'informer events': (etcd) => firstOf(etcd.informer({ prefix: 'close-none/' }).events()),
  value: (etcd) => etcd.value('close/a').waitForRevision(10_000_000),
  lease: async (etcd) => (await etcd.lease.grant(60)).revoke(),
  'kept lease': (etcd) => etcd.lease.grant(60),
  register: (etcd) => etcd.register('close/r', '1'),
  lock: async (etcd) => (await etcd.lock('close-lock')).release(),
  'held lock': (etcd) => etcd.lock(`close-lock-${Math.random()}`),
  withLock: (etcd) => etcd.withLock('close-lock', () => etcd.put('close/l', '1')),
  rwLock: (etcd) => etcd.rwLock('close-rw').write(),
  semaphore: (etcd) => etcd.semaphore('close-semaphore', 2).acquire(),
  election: (etcd) => etcd.election('close-election').campaign('me'),
  observe: (etcd) => firstOf(etcd.election('close-nobody').observe()),
  barrier: (etcd) => etcd.barrier('close-barrier').hold(),
  'barrier wait': (etcd) => etcd.barrier('close-barrier').wait(),
  'double barrier': (etcd) => etcd.doubleBarrier('close-double', 1000).enter(),
  dequeue: (etcd) => etcd.queue('close-queue').dequeue(),
  mirror: (etcd) => etcd.mirror('close/', etcd.namespace('close-copy/')).synced(),
  compactor: async (etcd) => etcd.compactor({ key: 'close-compactor', retainMs: 3_600_000 }),
  snapshot: (etcd) => firstOf(etcd.maintenance.snapshot()),
  health: (etcd) => etcd.health(),
  members: (etcd) => etcd.cluster.list(),
}

/** The points at which the client is closed: after some microtasks, turns of the event loop, and milliseconds. */
const points: readonly (() => Promise<void>)[] = [
  ...[0, 1, 5, 16].map((count) => async () => {
    for (let index = 0; index < count; index += 1) await undefined
  }),
  ...[1, 2, 4, 9].map((count) => async () => {
    for (let index = 0; index < count; index += 1) await turn()
  }),
  ...[5, 15].map((ms) => () => sleep(ms)),
]

/** Sockets and timers that keep the process alive. */
function held(): string[] {
  const kinds = ['TCPSocketWrap', 'TLSWrap', 'Timeout', 'GetAddrInfoReqWrap', 'TCPConnectWrap']
  return process.getActiveResourcesInfo().filter((kind) => kinds.includes(kind))
}

for (const transport of ['http2', 'grpc-js'] as const) {
  describe(`close() over ${transport}`, () => {
    const cluster = useCluster()

    test('settles every operation at any point, each with a result or a typed error, and leaves nothing', async () => {
      const random = randomFrom(1)
      for (const [index, reach] of points.entries()) {
        const etcd = new Etcd({ endpoints: cluster.endpoints, transport })
        const chosen = Object.entries(operations).filter(() => random() < 0.6)
        let open = chosen.length
        const outcomes = chosen.map(async ([name, run]) => {
          try {
            await run(etcd)
          } catch (error) {
            assert.ok(error instanceof EtcdError, `${name}, closed at point ${index}: ${error}`)
          } finally {
            open -= 1
          }
        })
        const all = Promise.all(outcomes)
        all.catch(() => {})
        await reach()
        const closedAt = performance.now()
        await etcd.close()
        await poll(`all operations settle, closed at point ${index}`, () => open === 0 || undefined)
        assert.ok(performance.now() - closedAt < within(1000), `closed at point ${index}`)
        await all
        await assert.rejects(etcd.get('close/a'), { code: 'CLOSED' })
      }
      await poll('nothing is left', () => held().length <= 1 || undefined).catch((error: unknown) => {
        assert.fail(`${error}: ${held()}`)
      })
    })
  })
}
