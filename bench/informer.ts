/**
 * An informer of many keys: its time to be ready beside a bare paged read of the same keys, its reads from memory, and
 * what a key costs.
 *
 *     npx tsx bench/informer.ts [--keys 100000] [--bytes 256] [--rounds 5]
 */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Etcd, put } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    bytes: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '5' },
  },
})
const keyCount = Number(values.keys)
const valueBytes = Number(values.bytes)
const rounds = Number(values.rounds)
const reads = 5_000_000
const range = { prefix: 'bench/' }

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

function memoryBytes(): number {
  gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function fill(etcd: Etcd): Promise<string[]> {
  const keys = Array.from({ length: keyCount }, (_, index) => `bench/${String(index).padStart(8, '0')}`)
  for (let first = 0; first < keyCount; first += 128) {
    const operations = keys.slice(first, first + 128).map((key) => put(key, key.padEnd(valueBytes, '.')))
    await etcd
      .txn()
      .then(...operations)
      .commit()
  }
  return keys
}

async function listMs(etcd: Etcd): Promise<number> {
  gc()
  const startedAt = performance.now()
  let count = 0
  for await (const { kvs } of etcd.list(range).pages()) count += kvs.length
  if (count !== keyCount) throw new Error(`${count} keys were listed`)
  return performance.now() - startedAt
}

async function readyMs(etcd: Etcd): Promise<{ readyMs: number; bytesPerKey: number }> {
  const before = memoryBytes()
  const startedAt = performance.now()
  await using informer = etcd.informer(range)
  await informer.ready()
  const readyMs = performance.now() - startedAt
  if (informer.size !== keyCount) throw new Error(`the informer has ${informer.size} keys`)
  return { readyMs, bytesPerKey: (memoryBytes() - before) / keyCount }
}

async function readsPerSecond(etcd: Etcd, keys: readonly string[]): Promise<number> {
  await using informer = etcd.informer(range)
  await informer.ready()
  // Keys as a program has them, not the strings that the informer holds, in no order.
  const asked = Array.from({ length: 10_000 }, () => String(keys[Math.floor(Math.random() * keyCount)]))
  const startedAt = performance.now()
  for (let read = 0; read < reads; read += 1) {
    if (informer.get(asked[read % asked.length] ?? '') === undefined) throw new Error('a key is missing')
  }
  return reads / ((performance.now() - startedAt) / 1000)
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

await using cluster = await EtcdCluster.start({ members: 1 })
await using etcd = new Etcd({ endpoints: cluster.endpoints })
const keys = await fill(etcd)
const results: { listMs: number; readyMs: number }[] = []
await listMs(etcd)
// Only the first informer is measured for its memory: after it, that of the one before may still be there.
const { bytesPerKey } = await readyMs(etcd)
for (let round = 0; round < rounds; round += 1) {
  results.push({ listMs: await listMs(etcd), readyMs: (await readyMs(etcd)).readyMs })
}
const list = median(results.map((result) => result.listMs))
const ready = median(results.map((result) => result.readyMs))
const ratio = median(results.map((result) => result.readyMs / result.listMs))
console.log(`${keyCount} keys of ${valueBytes} bytes`)
console.log(`bare paged read ${list.toFixed(0).padStart(9)} ms`)
console.log(`informer ready  ${ready.toFixed(0).padStart(9)} ms   ratio ${ratio.toFixed(2)}`)
console.log(
  `reads           ${((await readsPerSecond(etcd, keys)) / 1e6).toFixed(1).padStart(9)} million get() per second`,
)
console.log(`memory per key  ${bytesPerKey.toFixed(0).padStart(9)} bytes`)
