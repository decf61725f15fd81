/** One contender of one row in a process of its own: measures a round whenever it is told to, and tells what came of it. */
import type { Contender, ContenderName } from './contenders/contender.js'
import { etcd3 } from './contenders/etcd3.js'
import { grpcjs } from './contenders/grpcjs.js'
import { http2 } from './contenders/http2.js'
import { ours } from './contenders/ours.js'
import { rows, type Scale } from './rows.js'

/** What a worker is started with. */
export interface Assignment {
  readonly row: string
  readonly contender: ContenderName
  readonly endpoint: string
  readonly scale: Scale
  readonly prepared: number
  readonly auth: { readonly username: string; readonly password: string } | undefined
}

/** What one round cost. */
export interface Sample {
  readonly opsPerSecond: number
  /** User and system time of this process for one operation, in microseconds. */
  readonly cpuUs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakRssBytes: number
}

const { row: name, contender: who, endpoint, scale, prepared, auth }: Assignment = JSON.parse(process.argv[2] ?? '')

const contenders: Readonly<Record<ContenderName, () => Contender>> = {
  ours: () => ours(endpoint, { transport: 'http2', batching: { reads: false }, auth }),
  'ours-grpcjs': () => ours(endpoint, { transport: 'grpc-js', batching: { reads: false }, auth }),
  'ours-batching': () => ours(endpoint, { batching: { writes: true }, auth }),
  etcd3: () => etcd3(endpoint, auth),
  grpcjs: () => grpcjs(endpoint),
  http2: () => http2(endpoint),
}

const row = rows.find((other) => other.name === name)
const connect = contenders[who]
const contender = connect()

process.on('message', async (order: 'round' | 'end') => {
  if (order === 'round') process.send?.(await measure())
  else {
    await contender.close()
    process.disconnect()
  }
})

async function measure(): Promise<Sample> {
  if (row === undefined) throw new Error(`there is no row ${name}`)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const { operations, latenciesMs } = await row.run(contender, scale, prepared, connect)
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const sorted = Float64Array.from(latenciesMs).sort()
  const percentile = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0
  return {
    opsPerSecond: operations / seconds,
    cpuUs: (user + system) / operations,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  }
}
