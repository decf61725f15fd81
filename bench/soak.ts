/**
 * A client at work for a long time: reads, writes, transactions, listings, watches, leases, locks, elections, informers and
 * registrations at a steady rate on three members, with names that are used once, calls that fail and calls that are aborted.
 * Nothing may grow: heap, timers, other resources of the process, listeners, watchers, streams and leases on the members.
 * Prints how much each grows in an hour. Exits with 1 if something grows or a call fails.
 *
 *     npm run bench:soak -- [--seconds 600] [--rate 2000] [--transport grpc-js]
 *     npm run bench:soak -- --seconds 60 --rate 500
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
  readonly atMs: number
  readonly heapMiB: number
  readonly timers: number
  readonly resources: number
  readonly listeners: number
  readonly watchers: number
  readonly watchStreams: number
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

async function refused(call: Promise<unknown>): Promise<void> {
  const error: unknown = await call.then(
    () => new Error('the call succeeded'),
    (reason: unknown) => reason,
  )
  if (!isEtcdError(error)) throw error
}

/** Aborts a call while it is under way. */
async function aborted(call: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const abort = new AbortController()
  const settled = call(abort.signal).then(
    (result) => (result as Partial<AsyncDisposable> | undefined)?.[Symbol.asyncDispose]?.(),
    () => undefined,
  )
  setImmediate(() => abort.abort())
  await settled
}

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
  // Names that are used once: nothing may remember them.
  async (index) => {
    const space = etcd.namespace(`soak-once/${index}/`)
    await using watcher = space.watch({ prefix: '' })
    await watcher.ready()
    await space.put('key', 'value')
    await space.get('key', { mode: 'serializable' })
    for await (const _ of watcher) break
    await space.deleteRange({ prefix: '' })
  },
  (index) =>
    etcd.withLock(`soak-once/lock/${index}`, { ttlSeconds: 10 }, ({ signal }) => etcd.get('soak/0', { signal })),
  async (index) => {
    await using leadership = await etcd.election(`soak-once/election/${index}`).campaign('up')
    void leadership.fence
  },
  async (index) => {
    await using registration = await etcd.register(`soak-once/service/${index}`, 'up', { ttlSeconds: 10 })
    void registration.isRegistered
  },
  async () => {
    await using informer = etcd.informer({ prefix: 'soak/' })
    await informer.ready()
  },
  async (index) => {
    await using permit = await etcd.semaphore(`soak-once/semaphore/${index}`, 2).acquire()
    void permit.fence
  },
  (index) => etcd.stm((txn) => txn.put('soak/stm', String(index))),
  // Failures and aborts leave nothing behind either.
  () => refused(etcd.get('soak/0', { revision: Number.MAX_SAFE_INTEGER })),
  () => refused(etcd.lease.keepAliveOnce('1')),
  (index) => aborted((signal) => etcd.withLock('soak-aborted', { signal }, () => etcd.get(`soak/${index % 500}`))),
  () => aborted((signal) => etcd.get('soak/0', { signal })),
  () => aborted((signal) => etcd.lock('soak-held', { signal, ttlSeconds: 10 })),
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
  const watchStreams = await cluster.metric('etcd_debugging_mvcc_watch_stream_total')
  const kinds = process.getActiveResourcesInfo()
  return {
    atMs: performance.now(),
    timers: kinds.filter((kind) => kind === 'Timeout').length,
    watchStreams,
    heapMiB: (heapUsed + arrayBuffers) / 2 ** 20,
    resources: kinds.filter((kind) => kind !== 'Timeout' && kind !== 'Immediate').length,
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
    `${made} calls, ${failed} failed, heap ${now.heapMiB.toFixed(1)} MiB, ${now.timers} timers, ${now.resources} resources, ${now.listeners} listeners, ${now.watchers} watchers on ${now.watchStreams} streams, ${now.leases} leases`,
  )
}
while (ended < made) await new Promise((resolve) => setTimeout(resolve, tickMs))

function median(of: (sample: Sample) => number, from: number, to: number): number {
  const part = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)).map(of)
  return part.sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? Number.NaN
}

/** The slope of the line through the samples after the first fifth, which warms up, in an hour. */
function growthPerHour(of: (sample: Sample) => number): number {
  const part = samples.slice(Math.floor(samples.length / 5))
  const mean = (value: (sample: Sample) => number): number =>
    part.reduce((sum, sample) => sum + value(sample), 0) / part.length
  const [meanMs, meanValue] = [mean(({ atMs }) => atMs), mean(of)]
  const covariance = mean((sample) => (sample.atMs - meanMs) * (of(sample) - meanValue))
  return (covariance / mean(({ atMs }) => (atMs - meanMs) ** 2)) * 3_600_000
}

/** What a field may be at the end: a tenth more than early, and what a sample may have caught under way. */
const slack: Readonly<Record<Exclude<keyof Sample, 'atMs'>, number>> = {
  heapMiB: 3,
  timers: 10,
  resources: 4,
  listeners: 2,
  watchers: 8,
  watchStreams: 2,
  leases: 60,
}
for (const field of Object.keys(slack) as (keyof typeof slack)[]) {
  const [early, late] = [median((one) => one[field], 0.1, 0.4), median((one) => one[field], 0.7, 1)]
  const grows = late > early * 1.1 + slack[field]
  console.log(
    `${field.padEnd(12)} ${early.toFixed(1).padStart(8)} early, ${late.toFixed(1).padStart(8)} late, ${growthPerHour(
      (one) => one[field],
    )
      .toFixed(1)
      .padStart(8)} an hour${grows ? ': grows' : ''}`,
  )
  if (grows) process.exitCode = 1
}
if (failed > 0) process.exitCode = 1
