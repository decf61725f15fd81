/**
 * A listing of many keys, three ways, each in separate processes that take turns: as a stream (etcd 3.7), page by page, and
 * by npm `etcd3`, which reads all at once. Memory is what is in use at the worst moment: of the client after a garbage
 * collection, of the member as the system sees it, above what each had before.
 *
 *     ETCDKIT_ETCD_VERSION=3.7 npx tsx bench/list.ts [--keys 200000] [--bytes 256] [--rounds 5]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Etcd, put } from '../src/index.js'
import { Listing } from '../src/kv/listing.js'
import { EtcdCluster } from '../src/testing/index.js'
import { etcd3, etcd3Folder } from './contenders/etcd3.js'

const prefix = 'bench/list/'
const names = ['stream', 'pages', 'etcd3'] as const
type Name = (typeof names)[number]

interface Figures {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakHeapBytes: number
}

const readers: Readonly<Record<Name, (endpoint: string, onHeld: () => void) => Promise<number>>> = {
  async stream(endpoint) {
    await using etcd = new Etcd({ endpoints: endpoint })
    return await countOf(etcd.list({ prefix }))
  },
  async pages(endpoint) {
    await using etcd = new Etcd({ endpoints: endpoint })
    const read = async (range: { prefix: string }, options: object) => {
      const result = await etcd.range(range, options)
      return { result, bytes: result.kvs.length * 300 }
    }
    return await countOf(new Listing((_, options) => read({ prefix }, options), { prefix }, {}))
  },
  async etcd3(endpoint, onHeld) {
    const client = etcd3({ endpoints: [endpoint], ca: undefined, auth: undefined })
    const count = (await client.list?.(prefix, onHeld)) ?? 0
    await client.close()
    return count
  },
}

async function countOf(listing: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of listing) count += 1
  return count
}

/** In a child: reads once to warm up, once to take the time, and once to look at the memory all the while. */
async function child(name: Name, endpoint: string, keys: number): Promise<void> {
  await readers[name](endpoint, () => {})
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const count = await readers[name](endpoint, () => {})
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  if (count !== keys) throw new Error(`${name} gave ${count} of ${keys} keys`)
  const peakHeapBytes = await peakHeapOf((look) => readers[name](endpoint, look))
  process.send?.({ seconds, cpuSeconds: (user + system) / 1e6, peakHeapBytes } satisfies Figures)
}

async function peakHeapOf(read: (look: () => void) => Promise<unknown>): Promise<number> {
  const inUse = (): number => {
    globalThis.gc?.()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  await sleep(500) // until what was read before is let go
  const base = inUse()
  let peak = 0
  const look = (): void => {
    peak = Math.max(peak, inUse() - base)
  }
  const sampler = setInterval(look, 20)
  await read(look)
  clearInterval(sampler)
  return peak
}

async function parent(): Promise<void> {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '200000' },
      bytes: { type: 'string', default: '256' },
      rounds: { type: 'string', default: '5' },
    },
  })
  const [keys, bytes, rounds] = [Number(values.keys), Number(values.bytes), Number(values.rounds)]
  etcd3Folder()
  await using cluster = await EtcdCluster.start({ members: 1 })
  const [endpoint = ''] = cluster.endpoints
  await fill(endpoint, keys, Buffer.alloc(bytes, 'v'))
  const results = new Map(names.map((name) => [name, [] as (Figures & { readonly server: number })[]]))
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      await cluster.terminate(0)
      await cluster.restart(0)
      const pid = cluster.members[0]?.pid
      const base = residentBytes(pid)
      const worker = fork(import.meta.filename, [name, endpoint, String(keys)], {
        execArgv: ['--expose-gc', '--import', 'tsx'],
      })
      let server = 0
      const sampler = setInterval(() => {
        server = Math.max(server, residentBytes(pid) - base)
      }, 20)
      const [figures] = (await Promise.race([once(worker, 'message'), once(worker, 'exit')])) as [Figures | number]
      clearInterval(sampler)
      if (typeof figures !== 'object') throw new Error(`${name} has ended`)
      worker.disconnect()
      results.get(name)?.push({ ...figures, server })
    }
  }
  console.log(`${keys} keys of ${bytes} bytes, etcd ${cluster.version}`)
  for (const [name, figures] of results) {
    const of = (field: keyof (typeof figures)[number]): number => median(figures.map((one) => one[field]))
    const [heap, resident] = [of('peakHeapBytes') / 2 ** 20, of('server') / 2 ** 20]
    console.log(
      `${name.padEnd(8)} ${of('seconds').toFixed(2)} s, ${of('cpuSeconds').toFixed(2)} s CPU, peak heap ${heap.toFixed(1)} MiB, server ${resident.toFixed(0)} MiB`,
    )
  }
}

/** What a process holds in memory now, which on Linux its `status` file says. */
function residentBytes(pid: number | undefined): number {
  const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

async function fill(endpoint: string, keys: number, value: Buffer): Promise<void> {
  await using etcd = new Etcd({ endpoints: endpoint })
  for (let from = 0; from < keys; from += 100) {
    const puts = Array.from({ length: Math.min(100, keys - from) }, (_, index) =>
      put(`${prefix}${from + index}`, value),
    )
    await etcd
      .txn()
      .then(...puts)
      .commit()
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

const [name, endpoint, keys] = process.argv.slice(2)
if (process.send !== undefined && endpoint !== undefined) await child(name as Name, endpoint, Number(keys))
else await parent()
