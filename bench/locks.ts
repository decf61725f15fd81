/**
 * A storm of locks, side by side in one run: many locks with many contenders each, all at once, each held for a moment.
 * This library waits in order; npm `etcd3` 1.1.2, which is installed into a temporary folder for that, has no waiting, so its
 * contenders try again after 50 to 150 ms. Prints what the cluster was asked to do, and how many were granted in a second.
 *
 *     npx tsx bench/locks.ts [--locks 1000] [--contenders 10] [--hold 5] [--timeout 8000] [--theirs 60]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { Etcd, isEtcdError } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    locks: { type: 'string', default: '1000' },
    contenders: { type: 'string', default: '10' },
    hold: { type: 'string', default: '5' },
    timeout: { type: 'string', default: '8000' },
    theirs: { type: 'string', default: '60' },
  },
})
const locks = Number(values.locks)
const contenders = Number(values.contenders)
const holdMs = Number(values.hold)
const timeoutMs = Number(values.timeout)
const theirMs = Number(values.theirs) * 1000

/** Takes a lock and runs `work` under it. Resolves with whether it was granted in time. */
interface Contender {
  readonly name: string
  withLock(name: string, work: (fence: number | undefined) => Promise<void>): Promise<boolean>
  close(): Promise<void> | void
}

function ours(endpoints: readonly string[]): Contender {
  const etcd = new Etcd({ endpoints })
  return {
    name: 'etcdkit',
    withLock: async (name, work) => {
      try {
        await etcd.withLock(name, { timeoutMs }, ({ fence }) => work(fence))
        return true
      } catch (error) {
        if (isEtcdError(error, 'LOCK_TIMEOUT')) return false
        throw error
      }
    },
    close: () => etcd.close(),
  }
}

/** What is used of `etcd3`, as its own types have it. */
interface Etcd3 {
  lock(name: string): { ttl(seconds: number): { acquire(): Promise<{ release(): Promise<void> }> } }
  close(): void
}

function theirs(folder: string, endpoints: readonly string[]): Contender {
  const { Etcd3: Client } = createRequire(join(folder, 'package.json'))('etcd3') as {
    readonly Etcd3: new (options: { readonly hosts: readonly string[] }) => Etcd3
  }
  const etcd = new Client({ hosts: endpoints })
  const startedAt = performance.now()
  const withLock: Contender['withLock'] = async (name, work) => {
    // Its own lock fails at once where the lock is held.
    while (performance.now() < startedAt + theirMs) {
      const lock = await etcd
        .lock(name)
        .ttl(10)
        .acquire()
        .catch(() => undefined)
      if (lock !== undefined) {
        await work(undefined)
        await lock.release().catch(() => {})
        return true
      }
      await sleep(50 + Math.random() * 100)
    }
    return false
  }
  return { name: 'etcd3', withLock, close: () => etcd.close() }
}

async function installEtcd3(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-bench-'))
  writeFileSync(join(folder, 'package.json'), '{}')
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', 'etcd3@1.1.2'], { cwd: folder })
  return folder
}

const counted = {
  Txn: 'grpc_server_started_total',
  Range: 'grpc_server_started_total',
  LeaseGrant: 'grpc_server_started_total',
  LeaseRevoke: 'grpc_server_started_total',
  LeaseKeepAlive: 'grpc_server_started_total',
  Watch: 'grpc_server_started_total',
} as const

async function counts(cluster: EtcdCluster): Promise<Map<string, number>> {
  const entries = Object.entries(counted).map(
    async ([method, metric]) => [method, await cluster.metric(metric, { grpc_method: method })] as const,
  )
  return new Map(await Promise.all(entries))
}

/** Runs the storm and resolves with acquisitions in a second. */
async function storm(cluster: EtcdCluster, contender: Contender): Promise<number> {
  const before = await counts(cluster)
  const holders = new Map<string, number>()
  const fences = new Map<string, number>()
  let overlaps = 0
  const startedAt = performance.now()
  const cpu = process.cpuUsage()
  const work = async (index: number): Promise<boolean> => {
    const name = `storm/${index % locks}`
    return contender.withLock(name, async (fence) => {
      const others = holders.get(name) ?? 0
      if (others > 0) overlaps += 1
      if (fence !== undefined && fence <= (fences.get(name) ?? 0)) throw new Error(`${name}: the fence did not grow`)
      fences.set(name, fence ?? 0)
      holders.set(name, others + 1)
      await sleep(holdMs)
      holders.set(name, (holders.get(name) ?? 0) - 1)
    })
  }
  const granted = await Promise.all(Array.from({ length: locks * contenders }, (_, index) => work(index)))
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const count = granted.filter(Boolean).length
  const after = await counts(cluster)
  const calls = [...after].map(([method, number]) => `${number - (before.get(method) ?? 0)} ${method}`).join(', ')
  const writes = (after.get('Txn') ?? 0) - (before.get('Txn') ?? 0)
  console.log(
    `${contender.name}: ${count} of ${granted.length} granted in ${seconds.toFixed(1)} s, ${overlaps} while another one held it`,
  )
  console.log(`  ${(count / seconds).toFixed(0)} acquisitions/s, ${((user + system) / 1e6).toFixed(1)} s of CPU`)
  console.log(`  calls: ${calls}; ${(writes / count).toFixed(2)} transactions for each that was granted`)
  return count / seconds
}

async function left(cluster: EtcdCluster): Promise<string> {
  const keys = await cluster.etcdctl('get', '--prefix', 'storm/', '--count-only', '--write-out=fields')
  const leases = (await cluster.etcdctl('lease', 'list')).split('\n')[0]
  const watchers = await cluster.metric('etcd_debugging_mvcc_watcher_total')
  return `${/"Count" : (\d+)/.exec(keys)?.[1]} keys, ${leases}, ${watchers} watchers`
}

const folder = await installEtcd3()
try {
  await using cluster = await EtcdCluster.start({ members: 3 })
  const rates: number[] = []
  for (const make of [ours, (endpoints: readonly string[]) => theirs(folder, endpoints)]) {
    const contender = make(cluster.endpoints)
    rates.push(await storm(cluster, contender))
    await contender.close()
    console.log(`  left on the servers: ${await left(cluster)}`)
  }
  const [own = 0, other = 0] = rates
  console.log(`ratio etcdkit / etcd3: ${(own / other).toFixed(1)}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
