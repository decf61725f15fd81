/**
 * A client at work for a long time: reads, writes, transactions, listings, watches, leases and locks at a steady rate on three
 * members. Nothing may grow: heap, open resources of the process, listeners, watchers and leases on the members. Exits with
 * 1 if something grows or a call fails.
 *
 *     node --expose-gc --import tsx bench/soak.ts [--seconds 600] [--rate 2000] [--transport grpc-js]
 *     node --expose-gc --import tsx bench/soak.ts --seconds 60 --rate 500
 */
import { parseArgs } from 'node:util'
import { Etcd, get, isEtcdError, put } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    rate: { type: 'string', default: '2000' },
    transport: { type: 'string', default: 'http2' },
  },
})
const seconds = Number(values.seconds)
const rate = Number(values.rate)
const tickMs = 10
const sampleMs = Math.max(3000, (seconds * 1000) / 30)

interface Sample {
  readonly heapMiB: number
  readonly resources: number
  readonly listeners: number
  readonly watchers: number
  readonly leases: number
}

await using cluster = await EtcdCluster.start({ members: 3 })
await using etcd = new Etcd({
  endpoints: cluster.endpoints,
  transport: values.transport === 'grpc-js' ? 'grpc-js' : 'http2',
})
/** Of the service: all its calls take this signal. */
const { signal } = new AbortController()
await using informer = etcd.informer({ prefix: 'soak/' })
await informer.ready()

let made = 0
let ended = 0
let failed = 0
const kinds: readonly ((index: number) => Promise<unknown>)[] = [
  (index) => etcd.get(`soak/${index % 500}`, { signal }),
  (index) => etcd.put(`soak/${index % 500}`, String(index)),
  (index) => etcd.get(`soak/${index % 500}`, { mode: 'serializable' }),
  (index) =>
    etcd
      .txn()
      .then(get(`soak/${index % 500}`), put('soak/txn', String(index)))
      .commit(),
]
/** These are made now and then, each time from beginning to end. */
const rare: readonly ((index: number) => Promise<unknown>)[] = [
  async () => {
    for await (const _ of etcd.list({ prefix: 'soak/' }, { maxPageSize: 100 })) void _
  },
  async (index) => {
    await using watcher = etcd.watch({ prefix: `soak/${index % 7}` })
    await watcher.ready()
  },
  async () => {
    await using lease = await etcd.lease.grant(10)
    await etcd.lease.keepAliveOnce(lease.id)
  },
  (index) => etcd.withLock(`soak-lock/${index % 5}`, { ttlSeconds: 10 }, () => etcd.get('soak/0')),
  (index) => etcd.put('soak-ttl', String(index), { ttlSeconds: 5 }),
]

async function make(call: Promise<unknown>): Promise<void> {
  made += 1
  try {
    await call
  } catch (error) {
    failed += 1
    if (!isEtcdError(error)) throw error
  } finally {
    ended += 1
  }
}

async function sample(): Promise<Sample> {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  const watchers = await cluster.metric('etcd_debugging_mvcc_watcher_total')
  return {
    heapMiB: (heapUsed + arrayBuffers) / 2 ** 20,
    resources: process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout' && kind !== 'Immediate').length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    watchers,
    leases: (await etcd.lease.list()).length,
  }
}

const samples: Sample[] = []
const endAt = performance.now() + seconds * 1000
let due = performance.now()
let nextSampleAt = performance.now() + sampleMs
let ticks = 0
while (performance.now() < endAt) {
  ticks += 1
  for (let count = 0; count < (rate * tickMs) / 1000; count += 1) {
    const index = made
    const kind = kinds[index % kinds.length]
    if (kind !== undefined) void make(kind(index))
  }
  if (ticks % 5 === 0) {
    const one = rare[(ticks / 5) % rare.length]
    if (one !== undefined) void make(one(ticks))
  }
  due += tickMs
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())))
  if (performance.now() < nextSampleAt) continue
  nextSampleAt += sampleMs
  const now = await sample()
  samples.push(now)
  console.log(
    `${made} calls, ${failed} failed, heap ${now.heapMiB.toFixed(1)} MiB, ${now.resources} resources, ${now.listeners} listeners, ${now.watchers} watchers, ${now.leases} leases`,
  )
}
while (ended < made) await new Promise((resolve) => setTimeout(resolve, tickMs))

function median(of: (sample: Sample) => number, from: number, to: number): number {
  const part = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)).map(of)
  return part.sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? Number.NaN
}

/** What a field may be at the end: a tenth more than early, and what a sample may have caught under way. */
const slack: Readonly<Record<keyof Sample, number>> = {
  heapMiB: 3,
  resources: 4,
  listeners: 2,
  watchers: 4,
  leases: 60,
}
for (const field of ['heapMiB', 'resources', 'listeners', 'watchers', 'leases'] as const) {
  const [early, late] = [median((one) => one[field], 0.1, 0.4), median((one) => one[field], 0.7, 1)]
  const grows = late > early * 1.1 + slack[field]
  console.log(
    `${field.padEnd(10)} ${early.toFixed(1).padStart(8)} early, ${late.toFixed(1).padStart(8)} late${grows ? ': grows' : ''}`,
  )
  if (grows) process.exitCode = 1
}
if (failed > 0) process.exitCode = 1
