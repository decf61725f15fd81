/**
 * CPU of one watched event, side by side: this library, and npm `etcd3` 1.1.2 watching the same keys. `etcd3` is installed
 * into a temporary folder for that. With many events in each revision, events/s show the member: it splits answers above 2 MiB
 * for this library, in quadratic time, while `etcd3` takes them whole.
 *
 *     npx tsx bench/watch.ts [--events 40000] [--rounds 5] [--bytes 100]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { Etcd, put } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '40000' },
    rounds: { type: 'string', default: '5' },
    bytes: { type: 'string', default: '100' },
  },
})
const events = Number(values.events)
const rounds = Number(values.rounds)
const value = Buffer.alloc(Number(values.bytes), 'x')

/** Watches a prefix from a revision on, and resolves when it has been told so many events. */
interface Contender {
  readonly name: string
  watch(prefix: string, startRevision: number, count: number): Promise<void>
  close(): Promise<void> | void
}

function ours(endpoint: string): Contender {
  const etcd = new Etcd({ endpoints: endpoint })
  const watch: Contender['watch'] = async (prefix, startRevision, count) => {
    let left = count
    for await (const event of etcd.watch({ prefix }, { startRevision })) {
      if (event.kv.value.length !== value.length) throw new Error('the event is wrong')
      left -= 1
      if (left === 0) return
    }
  }
  return { name: 'etcdkit', watch, close: () => etcd.close() }
}

/** What is used of `etcd3`, as its own types have it. */
interface Etcd3 {
  watch(): {
    prefix(prefix: string): { startRevision(revision: string): { create(): Promise<Etcd3Watcher> } }
  }
  close(): void
}
interface Etcd3Watcher {
  on(event: 'put', listener: (kv: { readonly value: Buffer }) => void): void
  cancel(): Promise<void>
}

function theirs(folder: string, endpoint: string): Contender {
  const { Etcd3: Client } = createRequire(join(folder, 'package.json'))('etcd3') as {
    readonly Etcd3: new (options: { readonly hosts: string }) => Etcd3
  }
  const etcd = new Client({ hosts: endpoint })
  const watch: Contender['watch'] = async (prefix, startRevision, count) => {
    const watcher = await etcd.watch().prefix(prefix).startRevision(String(startRevision)).create()
    let left = count
    await new Promise<void>((resolve, reject) => {
      watcher.on('put', (kv) => {
        if (kv.value.length !== value.length) reject(new Error('the event is wrong'))
        left -= 1
        if (left === 0) resolve()
      })
    })
    await watcher.cancel()
  }
  return { name: 'etcd3', watch, close: () => etcd.close() }
}

async function installEtcd3(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-bench-'))
  writeFileSync(join(folder, 'package.json'), '{}')
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', 'etcd3@1.1.2'], { cwd: folder })
  return folder
}

interface Figures {
  readonly perCpuSecond: number
  readonly perSecond: number
}

async function measure(contender: Contender, prefix: string, startRevision: number): Promise<Figures> {
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await contender.watch(prefix, startRevision, events)
  const { user, system } = process.cpuUsage(before)
  return {
    perCpuSecond: events / ((user + system) / 1e6),
    perSecond: events / ((performance.now() - startedAt) / 1000),
  }
}

/** A history of `events` puts; so many at a time share a revision. */
async function fill(endpoint: string, prefix: string, perRevision: number): Promise<number> {
  await using etcd = new Etcd({ endpoints: endpoint })
  const { revision } = await etcd.put('bench', '')
  for (let written = 0; written < events; written += perRevision * 64) {
    const txns = Array.from({ length: Math.min(64, Math.ceil((events - written) / perRevision)) }, (_, txn) => {
      const names = Array.from(
        { length: perRevision },
        (_, index) => `${prefix}${(written + txn * perRevision + index) % 5000}`,
      )
      return etcd
        .txn()
        .then(...names.map((name) => put(name, value)))
        .commit()
    })
    await Promise.all(txns)
  }
  return revision + 1
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

async function compare(endpoint: string, contenders: readonly Contender[], perRevision: number): Promise<number> {
  const prefix = `bench/${perRevision}/`
  const startRevision = await fill(endpoint, prefix, perRevision)
  for (const contender of contenders) await measure(contender, prefix, startRevision)
  const results = new Map(contenders.map(({ name }) => [name, [] as Figures[]]))
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of contenders) {
      results.get(contender.name)?.push(await measure(contender, prefix, startRevision))
    }
  }
  console.log(`${events} events, ${perRevision} in each revision`)
  for (const [name, figures] of results) {
    const cpu = median(figures.map(({ perCpuSecond }) => perCpuSecond)).toFixed(0)
    const rate = median(figures.map(({ perSecond }) => perSecond)).toFixed(0)
    console.log(`${name.padEnd(10)} ${cpu.padStart(8)} events per CPU second ${rate.padStart(8)} events/s`)
  }
  const [own, other] = [...results.values()]
  return median((own ?? []).map(({ perCpuSecond }, i) => perCpuSecond / (other?.[i]?.perCpuSecond ?? Number.NaN)))
}

const folder = await installEtcd3()
try {
  await using cluster = await EtcdCluster.start({ members: 1 })
  const [endpoint] = cluster.endpoints
  if (endpoint === undefined) throw new Error('the cluster has no endpoint')
  const contenders = [ours(endpoint), theirs(folder, endpoint)]
  for (const perRevision of [1, 20]) {
    console.log(`ratio etcdkit / etcd3: ${(await compare(endpoint, contenders, perRevision)).toFixed(2)}`)
  }
  for (const { close } of contenders) await close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
