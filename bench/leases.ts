/**
 * CPU of keeping leases alive, side by side in one run: this library on both transports, which renews all leases on one
 * stream, and npm `etcd3`.
 *
 *     npx tsx bench/leases.ts [--leases 2000] [--ttl 6] [--seconds 20]
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Etcd } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'
import { etcd3Folder } from './contenders/etcd3.js'

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
  grant(): Promise<unknown>
  close(): Promise<void> | void
}

type Connect = (endpoints: readonly string[]) => Contender

/** What is used of `etcd3`, as its own types have it. */
interface Etcd3 {
  lease(seconds: number): { grant(): Promise<string> }
  close(): void
}

function ours(transport: 'http2' | 'grpc-js'): Connect {
  return (endpoints) => {
    const etcd = new Etcd({ endpoints, transport })
    return { grant: () => etcd.lease.grant(ttlSeconds), close: () => etcd.close() }
  }
}

function etcd3(endpoints: readonly string[]): Contender {
  const { Etcd3: Client } = createRequire(join(etcd3Folder(), 'package.json'))('etcd3') as {
    readonly Etcd3: new (options: { readonly hosts: readonly string[] }) => Etcd3
  }
  const etcd = new Client({ hosts: endpoints })
  return { grant: () => etcd.lease(ttlSeconds).grant(), close: () => etcd.close() }
}

/** Keeps all leases alive for a while and prints the CPU of one renewal. */
async function measure(name: string, connect: Connect): Promise<void> {
  await using cluster = await EtcdCluster.start({ members: 3 })
  const contender = connect(cluster.endpoints)
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
  const alive = (await cluster.etcdctl('lease', 'list')).split('\n')[0]
  console.log(
    `${name.padEnd(16)} ${((user + system) / count).toFixed(0).padStart(5)} µs of CPU for each of ${count} renewals, ` +
      `${(await streams()) - opened} streams, ${alive}`,
  )
  await contender.close()
}

await measure('etcdkit', ours('http2'))
await measure('etcdkit, grpc-js', ours('grpc-js'))
await measure('etcd3', etcd3)
