/**
 * Where batching pays: single reads and writes against batched ones, with more and more callers at once. CPU of the client and
 * of the member for one operation, and the time that half of the operations took.
 *
 *     npm run build && npx tsx bench/batching.ts [--ms 500] [--rounds 3]
 */
import { parseArgs } from 'node:util'
import { EtcdCluster } from '../src/testing/index.js'
import type { Contender } from './contenders/contender.js'
import { ours } from './contenders/ours.js'
import { inParallel, keyAt } from './rows.js'
import { median, readings, type Sample, sampleSince } from './sample.js'

const { values } = parseArgs({
  options: { ms: { type: 'string', default: '500' }, rounds: { type: 'string', default: '3' } },
})
const roundMs = Number(values.ms)
const rounds = Number(values.rounds)
const value = Buffer.alloc(256, 'v')

await using cluster = await EtcdCluster.start()
const target = { endpoints: cluster.endpoints, ca: undefined, auth: undefined }
const contenders = {
  single: ours(target, { batching: { reads: false } }),
  batched: ours(target, { batching: { reads: true, writes: true } }),
} as const

type Figures = Sample & { readonly memberCpuUs: number }
type Call = (contender: Contender, index: number) => Promise<unknown>

const calls: Readonly<Record<string, Call>> = {
  get: ({ get }, index) => get(keyAt(index)),
  put: ({ put }, index) => put(keyAt(index), value),
}

async function round(contender: Contender, call: Call, concurrency: number): Promise<Figures> {
  const memberSeconds = (): Promise<number> => cluster.metric('process_cpu_seconds_total')
  const memberBefore = await memberSeconds()
  const before = readings()
  const sample = sampleSince(before, await inParallel(concurrency, roundMs, (index) => call(contender, index)))
  return { ...sample, memberCpuUs: (((await memberSeconds()) - memberBefore) * 1e6) / sample.operations }
}

async function row(name: string, call: Call, concurrency: number): Promise<void> {
  const figures: Record<keyof typeof contenders, Figures[]> = { single: [], batched: [] }
  for (let index = 0; index < rounds; index += 1) {
    for (const kind of ['single', 'batched'] as const) {
      figures[kind].push(await round(contenders[kind], call, concurrency))
    }
  }
  const shown = (of: (figures: Figures) => number, digits: number): string => {
    const [single, batched] = [median(figures.single.map(of)), median(figures.batched.map(of))]
    return `${single.toFixed(digits).padStart(7)} ${batched.toFixed(digits).padStart(7)}`
  }
  const columns = [
    shown(({ cpuUs }) => cpuUs, 1),
    shown(({ memberCpuUs }) => memberCpuUs, 1),
    shown(({ p50Ms }) => p50Ms, 2),
    shown(({ opsPerSecond }) => opsPerSecond / 1000, 1),
  ]
  console.log(`${name} ${String(concurrency).padStart(5)}  ${columns.join('   ')}`)
}

for (const contender of Object.values(contenders)) {
  for (let index = 0; index < 1000; index += 1) await contender.put(keyAt(index), value)
  for (const call of Object.values(calls)) await round(contender, call, 64)
}
console.log('single, batched: client CPU µs   member CPU µs     p50 ms            1000 ops/s')
for (const [name, call] of Object.entries(calls)) {
  for (const concurrency of [1, 2, 4, 8, 16, 64, 1000]) await row(name, call, concurrency)
}
for (const contender of Object.values(contenders)) await contender.close()
