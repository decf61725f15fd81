/**
 * What authentication costs, in two comparisons whose runs alternate:
 *
 * 1. Reads by clients that live for `--calls-per-client` calls, at etcd's own bcrypt cost: this library, which logs in
 *    once; a grpc-js client that logs in when it is made; one that logs in for each call.
 * 2. Reads over TLS on one connection: without authentication, with a token, and with a certificate's common name.
 *
 *     npx tsx bench/auth.ts [--clients 40] [--calls-per-client 20] [--calls 5000] [--rounds 5] [--concurrency 16]
 */
import { parseArgs } from 'node:util'
import { type Client, credentials, loadPackageDefinition, Metadata, type ServiceClientConstructor } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import { type ClientOptions, Etcd } from '../src/index.js'
import { descriptor } from '../src/protobuf/generated/descriptor.js'
import { EtcdCluster } from '../src/testing/index.js'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '40' },
    'calls-per-client': { type: 'string', default: '20' },
    calls: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '5' },
    concurrency: { type: 'string', default: '16' },
  },
})
const clients = Number(values.clients)
const callsPerClient = Number(values['calls-per-client'])
const calls = Number(values.calls)
const rounds = Number(values.rounds)
const concurrency = Number(values.concurrency)

const password = 'bench-password'
const auth = { username: 'root', password }

interface Contender {
  readonly name: string
  readonly cluster: EtcdCluster
  /** Makes its reads and returns how many. */
  run(): Promise<number>
}

interface Figures {
  readonly perSecond: number
  readonly serverCpuUs: number
  readonly authenticates: number
}

type Call = (request: object, metadata: Metadata) => Promise<Readonly<Record<string, unknown>>>

const definition = fromJSON(descriptor, { longs: String, enums: String, defaults: true, oneofs: true })
const services = loadPackageDefinition(definition).etcdserverpb as unknown as Record<
  'KV' | 'Auth',
  ServiceClientConstructor
>

/** A bare client of one service, on a connection that the others share. */
function bare(service: 'KV' | 'Auth', method: string, endpoint: string): { call: Call; client: Client } {
  const client = new services[service](new URL(endpoint).host, credentials.createInsecure())
  const call: Call = (request, metadata) =>
    new Promise((resolve, reject) =>
      client[method]?.(request, metadata, (error: unknown, answer: Readonly<Record<string, unknown>>) =>
        error ? reject(error) : resolve(answer),
      ),
    )
  return { call, client }
}

function naive(name: string, cluster: EtcdCluster, loginEveryCall: boolean, count: number): Contender {
  const [endpoint = ''] = cluster.endpoints
  const live = async (callCount: number): Promise<void> => {
    const [login, range] = [bare('Auth', 'Authenticate', endpoint), bare('KV', 'Range', endpoint)]
    let metadata: Metadata | undefined
    for (let index = 0; index < callCount; index += 1) {
      if (metadata === undefined || loginEveryCall) {
        metadata = new Metadata()
        metadata.set('token', String((await login.call({ name: 'root', password }, new Metadata())).token))
      }
      await range.call({ key: Buffer.from('bench/key') }, metadata)
    }
    for (const { client } of [login, range]) client.close()
  }
  return { name, cluster, run: () => inParallel(count, () => live(callsPerClient)) }
}

function ours(name: string, cluster: EtcdCluster): Contender {
  const live = async (): Promise<void> => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints, auth })
    for (let index = 0; index < callsPerClient; index += 1) await etcd.get('bench/key')
  }
  return { name, cluster, run: () => inParallel(clients, live) }
}

/** Runs `count` clients, some at a time; returns the number of their reads. */
async function inParallel(count: number, live: () => Promise<void>): Promise<number> {
  let left = count
  const work = async (): Promise<void> => {
    while (left-- > 0) await live()
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return count * callsPerClient
}

/** One client that lives on, for the comparison of throughput. */
function steady(name: string, cluster: EtcdCluster, options: ClientOptions): Contender & AsyncDisposable {
  const etcd = new Etcd({ endpoints: cluster.endpoints, batching: { reads: false }, ...options })
  return {
    name,
    cluster,
    async run() {
      let left = calls
      const work = async (): Promise<void> => {
        while (left-- > 0) await etcd.get('bench/key')
      }
      await Promise.all(Array.from({ length: concurrency }, work))
      return calls
    },
    [Symbol.asyncDispose]: () => etcd.close(),
  }
}

async function measure({ cluster, run }: Contender): Promise<Figures> {
  const counters = () =>
    Promise.all([
      cluster.metric('process_cpu_seconds_total'),
      cluster.metric('grpc_server_handled_total', { grpc_method: 'Authenticate' }),
    ])
  const [cpuBefore, authenticatesBefore] = await counters()
  const startedAt = performance.now()
  const reads = await run()
  const seconds = (performance.now() - startedAt) / 1000
  const [cpuAfter, authenticatesAfter] = await counters()
  return {
    perSecond: reads / seconds,
    serverCpuUs: ((cpuAfter - cpuBefore) * 1e6) / reads,
    authenticates: authenticatesAfter - authenticatesBefore,
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

/** Alternates the contenders, prints the medians, and the ratio of each to the first, run by run. */
async function compare(title: string, contenders: readonly Contender[]): Promise<void> {
  const results = contenders.map(() => [] as Figures[])
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) results[index]?.push(await measure(contender))
  }
  console.log(`\n${title}`)
  for (const [index, { name }] of contenders.entries()) {
    const figures = results[index] ?? []
    const rate = median(figures.map(({ perSecond }) => perSecond)).toFixed(0)
    const cpu = median(figures.map(({ serverCpuUs }) => serverCpuUs)).toFixed(0)
    const logins = figures.map(({ authenticates }) => authenticates).join(' ')
    const ratio = median(figures.map(({ perSecond }, i) => perSecond / (results[0]?.[i]?.perSecond ?? Number.NaN)))
    console.log(
      `${name.padEnd(28)} ${rate.padStart(6)} reads/s ${cpu.padStart(7)} µs server CPU per read   ratio ${ratio.toFixed(3)}   Authenticates by run: ${logins}`,
    )
  }
}

async function compareLogins(): Promise<void> {
  await using cluster = await EtcdCluster.start({ auth: { rootPassword: password }, flags: { 'bcrypt-cost': 10 } })
  await compare(`${clients} clients, ${callsPerClient} reads each, ${concurrency} at a time`, [
    ours('etcdkit', cluster),
    naive('grpc-js, login per client', cluster, false, clients),
    // A tenth of the reads, since each takes so long.
    naive('grpc-js, login per call', cluster, true, Math.ceil(clients / 10)),
  ])
}

async function compareCertificates(): Promise<void> {
  await using open = await EtcdCluster.start({ tls: { clientCertAuth: true } })
  await using closed = await EtcdCluster.start({ tls: { clientCertAuth: true }, auth: { rootPassword: password } })
  const tlsOf = ({ tls }: EtcdCluster, user: string): ClientOptions['tls'] => {
    const { cert, key } = tls?.clientCert(user) ?? { cert: undefined, key: undefined }
    return { ca: tls?.ca, cert, key }
  }
  await using none = steady('no authentication', open, { tls: tlsOf(open, 'root') })
  await using token = steady('password, token', closed, { tls: tlsOf(closed, 'nobody'), auth })
  await using certificate = steady('certificate, common name', closed, { tls: tlsOf(closed, 'root') })
  const contenders = [none, token, certificate]
  for (const contender of contenders) await contender.run()
  await compare(`${calls} reads over TLS by one client, ${concurrency} at a time`, contenders)
}

await compareLogins()
await compareCertificates()
