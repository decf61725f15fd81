/**
 * Bytes of memory in this process for each idle client, watch, lease and lock: this library and npm `etcd3`, each object
 * kind in a separate process. Heap and external memory after a collection, divided by the number of objects.
 *
 *     npx tsx bench/memory.ts [--count 500]
 */
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Etcd } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'
import { etcd3Folder } from './contenders/etcd3.js'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '500' },
    child: { type: 'string' },
    endpoint: { type: 'string', default: '' },
  },
})
const count = Number(values.count)

/** What is used of `etcd3`, as its own types have it. */
interface Etcd3 {
  get(key: string): Promise<unknown>
  watch(): { prefix(prefix: string): { create(): Promise<unknown> } }
  lease(ttl: number): { grant(): Promise<unknown> }
  lock(name: string): { ttl(seconds: number): { acquire(): Promise<unknown> } }
}

type Maker = (index: number) => Promise<unknown>

/** Makes the object kinds, after the client that they belong to has connected. */
const makers: Readonly<Record<string, (endpoint: string) => Promise<Maker>>> = {
  async 'etcdkit client'(endpoint) {
    return async () => {
      const etcd = new Etcd({ endpoints: endpoint })
      await etcd.get('bench/key')
      return etcd
    }
  },
  async 'etcd3 client'(endpoint) {
    return async () => {
      const etcd = etcd3(endpoint)
      await etcd.get('bench/key')
      return etcd
    }
  },
  async 'etcdkit watch'(endpoint) {
    const etcd = await connected(endpoint)
    return async (index) => {
      const watch = etcd.watch({ prefix: `bench/watch/${index}/` })
      await watch.ready()
      return watch
    }
  },
  async 'etcd3 watch'(endpoint) {
    const etcd = etcd3(endpoint)
    return (index) => etcd.watch().prefix(`bench/watch/${index}/`).create()
  },
  async 'etcdkit lease'(endpoint) {
    const etcd = await connected(endpoint)
    return () => etcd.lease.grant(600)
  },
  async 'etcd3 lease'(endpoint) {
    const etcd = etcd3(endpoint)
    return async () => {
      const lease = etcd.lease(600)
      await lease.grant()
      return lease
    }
  },
  async 'etcdkit lock'(endpoint) {
    const etcd = await connected(endpoint)
    return (index) => etcd.lock(`bench/lock/${index}`, { ttlSeconds: 600 })
  },
  async 'etcd3 lock'(endpoint) {
    const etcd = etcd3(endpoint)
    return (index) => etcd.lock(`bench/lock/${index}`).ttl(600).acquire()
  },
}

async function connected(endpoint: string): Promise<Etcd> {
  const etcd = new Etcd({ endpoints: endpoint })
  await etcd.connect()
  return etcd
}

function etcd3(endpoint: string): Etcd3 {
  const { Etcd3: Client } = createRequire(join(etcd3Folder(), 'package.json'))('etcd3') as {
    readonly Etcd3: new (options: { readonly hosts: string }) => Etcd3
  }
  return new Client({ hosts: endpoint })
}

/** Memory in use after all garbage is gone. */
function inUse(): number {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function child(name: string, endpoint: string): Promise<never> {
  const make = await makers[name]?.(endpoint)
  if (make === undefined) throw new Error(`there is no ${name}`)
  const held: unknown[] = []
  // The first ones load and compile what all share.
  for (let index = 0; index < 20; index += 1) held.push(await make(index))
  const before = inUse()
  for (let index = 20; index < 20 + count; index += 1) held.push(await make(index))
  const bytes = (inUse() - before) / count
  console.log(`${name.padEnd(15)} ${(bytes / 1024).toFixed(1).padStart(7)} KiB`)
  process.exit(held.length > 0 ? 0 : 1)
}

async function main(): Promise<void> {
  if (values.child !== undefined) await child(values.child, values.endpoint)
  await using cluster = await EtcdCluster.start()
  for (const name of Object.keys(makers)) {
    const args = ['--child', name, '--endpoint', cluster.endpoints[0] ?? '', '--count', String(count)]
    const node = ['--expose-gc', '--import', 'tsx', import.meta.filename, ...args]
    execFileSync(process.execPath, node, { stdio: 'inherit' })
  }
}

await main()
