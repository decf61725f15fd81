/**
 * CPU of keeping leases alive, side by side in one run: this library, which renews all on one stream, and npm `etcd3` 1.1.2,
 * which is installed into a temporary folder for that.
 *
 *     npx tsx bench/leases.ts [--leases 2000] [--ttl 6] [--seconds 20]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { Etcd } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    leases: { type: 'string', default: '2000' },
    ttl: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '20' },
  },
})
const leases = Number(values.leases)
const ttlSeconds = Number(values.ttl)
const measureMs = Number(values.seconds) * 1000

interface Contender {
  readonly name: string
  grant(): Promise<unknown>
  close(): Promise<void> | void
}

function ours(endpoints: readonly string[]): Contender {
  const etcd = new Etcd({ endpoints })
  return { name: 'etcdkit', grant: () => etcd.lease.grant(ttlSeconds), close: () => etcd.close() }
}

/** What is used of `etcd3`, as its own types have it. */
interface Etcd3 {
  lease(seconds: number): { grant(): Promise<string> }
  close(): void
}

function theirs(folder: string, endpoints: readonly string[]): Contender {
  const { Etcd3: Client } = createRequire(join(folder, 'package.json'))('etcd3') as {
    readonly Etcd3: new (options: { readonly hosts: readonly string[] }) => Etcd3
  }
  const etcd = new Client({ hosts: endpoints })
  return { name: 'etcd3', grant: () => etcd.lease(ttlSeconds).grant(), close: () => etcd.close() }
}

async function installEtcd3(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-bench-'))
  writeFileSync(join(folder, 'package.json'), '{}')
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', 'etcd3@1.1.2'], { cwd: folder })
  return folder
}

/** Keeps so many leases alive for a while, and resolves with the CPU of one renewal in microseconds. */
async function measure(cluster: EtcdCluster, contender: Contender): Promise<number> {
  const method = { grpc_method: 'LeaseKeepAlive' }
  const streams = () => cluster.metric('grpc_server_started_total', method)
  const renewals = () => cluster.metric('grpc_server_msg_sent_total', method)
  const opened = await streams()
  await Promise.all(Array.from({ length: leases }, () => contender.grant()))
  const before = await renewals()
  const cpu = process.cpuUsage()
  await sleep(measureMs)
  const { user, system } = process.cpuUsage(cpu)
  const count = (await renewals()) - before
  const perRenewal = (user + system) / count
  const alive = (await cluster.etcdctl('lease', 'list')).split('\n')[0]
  console.log(
    `${contender.name.padEnd(8)} ${perRenewal.toFixed(0).padStart(5)} µs of CPU for each of ${count} renewals, ` +
      `${(await streams()) - opened} streams, ${alive}`,
  )
  await contender.close()
  return perRenewal
}

const folder = await installEtcd3()
try {
  const figures: number[] = []
  for (const make of [ours, (endpoints: readonly string[]) => theirs(folder, endpoints)]) {
    await using cluster = await EtcdCluster.start({ members: 3 })
    figures.push(await measure(cluster, make(cluster.endpoints)))
  }
  const [own = 0, other = 0] = figures
  console.log(`ratio etcd3 / etcdkit: ${(other / own).toFixed(1)}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
