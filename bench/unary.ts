/**
 * CPU, rate and latency of single gets and puts, side by side: this library on both of its transports, npm `etcd3` 1.1.2, a
 * bare grpc-js client with proto-loader, and Node's HTTP/2 with frames made by hand and answers that nobody decodes: the
 * floor of everything that is built on it. `etcd3` is installed into a temporary folder for that.
 *
 *     npx tsx bench/unary.ts [--calls 10000] [--rounds 5] [--only http2,floor]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type ClientOptions, credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import { descriptor } from '../src/gen/descriptor.js'
import { Etcd } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: 'http2,grpc-js,etcd3,bare,floor' },
  },
})
const calls = Number(values.calls)
const rounds = Number(values.rounds)
const wanted = values.only.split(',')
const key = 'bench/key'
const value = 'x'.repeat(100)

interface Contender {
  readonly name: string
  get(): Promise<unknown>
  put(): Promise<unknown>
  close(): Promise<void> | void
}

function ours(endpoint: string, transport: 'http2' | 'grpc-js'): Contender {
  const etcd = new Etcd({ endpoints: endpoint, transport })
  return { name: transport, get: () => etcd.get(key), put: () => etcd.put(key, value), close: () => etcd.close() }
}

function bare(endpoint: string): Contender {
  const options: ClientOptions = { 'grpc.max_receive_message_length': -1, 'grpc.enable_channelz': 0 }
  const definition = fromJSON(descriptor, { longs: String, enums: String, defaults: true, oneofs: true })
  const loaded = loadPackageDefinition(definition)
  const KV = (loaded.etcdserverpb as unknown as { KV: ServiceClientConstructor }).KV
  const client = new KV(new URL(endpoint).host, credentials.createInsecure(), options)
  const call = (name: 'Range' | 'Put', request: () => object): (() => Promise<unknown>) => {
    const method = client[name]?.bind(client) as (
      request: object,
      done: (error: unknown, answer: unknown) => void,
    ) => void
    return () =>
      new Promise((resolve, reject) => {
        method(request(), (error, answer) => (error ? reject(error) : resolve(answer)))
      })
  }
  return {
    name: 'bare',
    get: call('Range', () => ({ key: Buffer.from(key) })),
    put: call('Put', () => ({ key: Buffer.from(key), value: Buffer.from(value) })),
    close: () => client.close(),
  }
}

/** A message of byte fields with the numbers 1, 2 and so on, each shorter than 128 bytes, with gRPC's prefix. */
function framed(...fields: readonly string[]): Buffer {
  const message = Buffer.from(
    fields.map((field, at) => `${String.fromCharCode(at * 8 + 10, field.length)}${field}`).join(''),
  )
  const frame = Buffer.alloc(5 + message.length)
  frame.writeUInt32BE(message.length, 1)
  message.copy(frame, 5)
  return frame
}

function floor(endpoint: string): Contender {
  const session = connect(endpoint)
  const call = (path: string, frame: () => Buffer): (() => Promise<unknown>) => {
    const headers = { ':method': 'POST', ':path': path, te: 'trailers', 'content-type': 'application/grpc' }
    return () =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers)
        const chunks: Buffer[] = []
        stream.on('data', (chunk) => chunks.push(chunk))
        stream.on('trailers', (trailers) => {
          if (trailers['grpc-status'] === '0') resolve(chunks)
          else reject(new Error(String(trailers['grpc-message'])))
        })
        stream.on('error', reject)
        stream.end(frame())
      })
  }
  return {
    name: 'floor',
    get: call('/etcdserverpb.KV/Range', () => framed(key)),
    put: call('/etcdserverpb.KV/Put', () => framed(key, value)),
    close: () => session.close(),
  }
}

/** What is used of `etcd3`, as its own types have it. */
interface Etcd3 {
  get(key: string): PromiseLike<unknown>
  put(key: string): { value(value: string): PromiseLike<unknown> }
  close(): void
}

function theirs(folder: string, endpoint: string): Contender {
  const { Etcd3: Client } = createRequire(join(folder, 'package.json'))('etcd3') as {
    readonly Etcd3: new (options: { readonly hosts: string }) => Etcd3
  }
  const etcd = new Client({ hosts: endpoint })
  return {
    name: 'etcd3',
    get: async () => etcd.get(key),
    put: async () => etcd.put(key).value(value),
    close: () => etcd.close(),
  }
}

async function installEtcd3(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-bench-'))
  writeFileSync(join(folder, 'package.json'), '{}')
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', 'etcd3@1.1.2'], { cwd: folder })
  return folder
}

interface Figures {
  readonly cpuUs: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function measure(call: () => Promise<unknown>, concurrency: number): Promise<Figures> {
  const count = concurrency === 1 ? Math.ceil(calls / 5) : calls
  const tookMs: number[] = []
  let left = count
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (left-- > 0) {
        const sentAt = performance.now()
        await call()
        tookMs.push(performance.now() - sentAt)
      }
    }),
  )
  const { user, system } = process.cpuUsage(before)
  const perSecond = count / ((performance.now() - startedAt) / 1000)
  tookMs.sort((a, b) => a - b)
  const quantile = (share: number): number => tookMs[Math.floor(tookMs.length * share)] ?? Number.NaN
  return { cpuUs: (user + system) / count, perSecond, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

/** Rounds in which each contender has its turn, so that what else the machine does hits all alike. */
async function compare(contenders: readonly Contender[], operation: 'get' | 'put', concurrency: number): Promise<void> {
  const results = new Map(contenders.map(({ name }) => [name, [] as Figures[]]))
  for (let round = -1; round < rounds; round += 1) {
    for (const contender of contenders) {
      const figures = await measure(contender[operation], concurrency)
      if (round >= 0) results.get(contender.name)?.push(figures)
    }
  }
  console.log(`${operation}, ${concurrency} at a time`)
  const baseline = median((results.get('http2') ?? []).map(({ cpuUs }) => cpuUs))
  for (const [name, figures] of results) {
    const of = (pick: (figures: Figures) => number): number => median(figures.map(pick))
    const cpuUs = of((f) => f.cpuUs)
    const columns = [
      `${cpuUs.toFixed(1).padStart(7)} µs CPU`,
      `${of((f) => f.perSecond)
        .toFixed(0)
        .padStart(7)} calls/s`,
      `p50 ${of((f) => f.p50Ms)
        .toFixed(2)
        .padStart(7)} ms`,
      `p99 ${of((f) => f.p99Ms)
        .toFixed(2)
        .padStart(7)} ms`,
      `${(cpuUs / baseline).toFixed(2).padStart(5)} times the CPU of http2`,
    ]
    console.log(`  ${name.padEnd(8)} ${columns.join('  ')}`)
  }
}

const folder = wanted.includes('etcd3') ? await installEtcd3() : undefined
try {
  await using cluster = await EtcdCluster.start({ members: 1 })
  const [endpoint] = cluster.endpoints
  if (endpoint === undefined) throw new Error('the cluster has no endpoint')
  const makers: Record<string, () => Contender> = {
    http2: () => ours(endpoint, 'http2'),
    'grpc-js': () => ours(endpoint, 'grpc-js'),
    etcd3: () => theirs(folder ?? '', endpoint),
    bare: () => bare(endpoint),
    floor: () => floor(endpoint),
  }
  const contenders = wanted.flatMap((name) => makers[name]?.() ?? [])
  for (const concurrency of [1, 64, 1000]) await compare(contenders, 'get', concurrency)
  for (const concurrency of [64, 1000]) await compare(contenders, 'put', concurrency)
  for (const contender of contenders) await contender.close()
} finally {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
}
