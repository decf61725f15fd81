/**
 * CPU of one unary call, side by side: this library, and a bare grpc-js client with proto-loader making the same call.
 *
 *     npx tsx bench/unary-cpu.ts [--calls 10000] [--rounds 5] [--concurrency 64]
 */
import { parseArgs } from 'node:util'
import { type ClientOptions, credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import { descriptor } from '../src/gen/descriptor.js'
import { Etcd } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    concurrency: { type: 'string', default: '64' },
  },
})
const calls = Number(values.calls)
const rounds = Number(values.rounds)
const concurrency = Number(values.concurrency)

interface Contender {
  readonly name: string
  call(): Promise<unknown>
  close(): Promise<void> | void
}

function ours(endpoint: string): Contender {
  const etcd = new Etcd({ endpoints: endpoint, batching: { reads: false } })
  return { name: 'etcdkit', call: () => etcd.get('bench/key'), close: () => etcd.close() }
}

function bare(endpoint: string): Contender {
  const options: ClientOptions = { 'grpc.max_receive_message_length': -1, 'grpc.enable_channelz': 0 }
  const definition = fromJSON(descriptor, { longs: String, enums: String, defaults: true, oneofs: true })
  const loaded = loadPackageDefinition(definition)
  const KV = (loaded.etcdserverpb as unknown as { KV: ServiceClientConstructor }).KV
  const client = new KV(new URL(endpoint).host, credentials.createInsecure(), options)
  const range = client.Range?.bind(client) as (request: object, done: (error: unknown, answer: unknown) => void) => void
  const key = Buffer.from('bench/key')
  return {
    name: 'grpc-js',
    call: () =>
      new Promise((resolve, reject) => range({ key }, (error, answer) => (error ? reject(error) : resolve(answer)))),
    close: () => client.close(),
  }
}

async function cpuPerCallUs({ call }: Contender): Promise<{ cpuUs: number; perSecond: number }> {
  let left = calls
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (left-- > 0) await call()
    }),
  )
  const { user, system } = process.cpuUsage(before)
  return { cpuUs: (user + system) / calls, perSecond: calls / ((performance.now() - startedAt) / 1000) }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

await using cluster = await EtcdCluster.start({ members: 1 })
const [endpoint] = cluster.endpoints
if (endpoint === undefined) throw new Error('the cluster has no endpoint')
const contenders = [ours(endpoint), bare(endpoint)]
const results = new Map(contenders.map(({ name }) => [name, [] as { cpuUs: number; perSecond: number }[]]))
for (const contender of contenders) await cpuPerCallUs(contender)
for (let round = 0; round < rounds; round += 1) {
  for (const contender of contenders) results.get(contender.name)?.push(await cpuPerCallUs(contender))
}
for (const [name, figures] of results) {
  const cpu = median(figures.map(({ cpuUs }) => cpuUs)).toFixed(1)
  const rate = median(figures.map(({ perSecond }) => perSecond)).toFixed(0)
  console.log(`${name.padEnd(10)} ${cpu.padStart(7)} µs CPU per call ${rate.padStart(7)} calls/s`)
}
const ratios = (results.get('etcdkit') ?? []).map(
  ({ cpuUs }, i) => cpuUs / (results.get('grpc-js')?.[i]?.cpuUs ?? Number.NaN),
)
console.log(`ratio etcdkit / grpc-js: ${median(ratios).toFixed(2)}`)
for (const { close } of contenders) await close()
