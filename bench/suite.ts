/**
 * The side-by-side suite: this library, npm `etcd3`, bare grpc-js and bare node:http2 make the same calls to the same
 * member, in turns, each in a process of its own. Each figure is the median of the rounds.
 *
 *     npm run bench -- [--quick] [--rounds 5] [--json FILE] [row …]
 *
 * A ratio says how many times more operations this library makes for a second of client CPU.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EtcdCluster } from '../src/testing/index.js'
import type { ContenderName } from './contenders/contender.js'
import { etcd3Folder } from './contenders/etcd3.js'
import { type Row, rows, type Scale } from './rows.js'
import type { Assignment, Sample } from './worker.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const scale: Scale = values.quick
  ? { roundMs: 300, listKeys: 100_000, events: 30_000, locks: 20 }
  : { roundMs: 2000, listKeys: 100_000, events: 50_000, locks: 100 }

const password = 'bench-password'

/** Rounds until the code of a contender is compiled. */
const warmUps = values.quick ? 2 : 1

/** One row of the result, as it is written to the JSON file. */
interface Result {
  readonly name: string
  readonly ours: Sample
  readonly peers: Readonly<Partial<Record<ContenderName, Sample>>>
  readonly ratio: Readonly<Partial<Record<ContenderName, number>>>
}

class Worker {
  readonly name: ContenderName
  readonly #child: ChildProcess
  readonly #samples: Sample[] = []

  constructor(assignment: Assignment) {
    this.name = assignment.contender
    this.#child = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(assignment)], {
      execArgv: ['--import', 'tsx'],
    })
  }

  /** One round; the first ones of a worker warm it up and do not count. */
  async round(counts: boolean): Promise<void> {
    this.#child.send('round')
    const answer = await Promise.race([once(this.#child, 'message'), once(this.#child, 'exit')])
    const [sample] = answer as [Sample | number]
    if (typeof sample !== 'object') throw new Error(`${this.name} has ended`)
    if (counts) this.#samples.push(sample)
  }

  get medians(): Sample {
    const of = (field: keyof Sample): number => median(this.#samples.map((sample) => sample[field]))
    const [opsPerSecond, cpuUs, p50Ms, p99Ms] = [of('opsPerSecond'), of('cpuUs'), of('p50Ms'), of('p99Ms')]
    return { opsPerSecond, cpuUs, p50Ms, p99Ms, peakRssBytes: Math.max(...this.#samples.map((s) => s.peakRssBytes)) }
  }

  async end(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.send('end')
    await exited
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

async function measure(row: Row): Promise<Result> {
  await using cluster = await EtcdCluster.start(row.auth === true ? { auth: { rootPassword: password } } : {})
  const [endpoint = ''] = cluster.endpoints
  const auth = row.auth === true ? { username: 'root', password } : undefined
  const prepared = (await row.prepare?.(endpoint, scale)) ?? 0
  const workers = row.contenders.map(
    (contender) => new Worker({ row: row.name, contender, endpoint, scale, prepared, auth }),
  )
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const worker of workers) await worker.round(round >= 0)
  }
  const [[, ours] = [], ...peers] = workers.map(({ name, medians }) => [name, medians] as const)
  for (const worker of workers) await worker.end()
  if (ours === undefined) throw new Error(`${row.name} has no contender`)
  const ratio = peers.map(([name, { cpuUs }]) => [name, Number((cpuUs / ours.cpuUs).toFixed(2))])
  return { name: row.name, ours, peers: Object.fromEntries(peers), ratio: Object.fromEntries(ratio) }
}

function print({ name, ours, peers, ratio }: Result): void {
  const line = (who: string, { opsPerSecond, cpuUs, p50Ms, p99Ms, peakRssBytes }: Sample, times?: number): string =>
    [
      who.padEnd(13),
      `${opsPerSecond.toFixed(0).padStart(9)}/s`,
      `${cpuUs.toFixed(1).padStart(8)} µs CPU`,
      `p50 ${p50Ms.toFixed(2).padStart(8)} ms`,
      `p99 ${p99Ms.toFixed(2).padStart(8)} ms`,
      `${(peakRssBytes / 2 ** 20).toFixed(0).padStart(5)} MiB`,
      times === undefined ? '' : `ratio ${times.toFixed(2)}`,
    ].join('  ')
  console.log(`\n${name}\n  ${line('etcdkit', ours)}`)
  for (const [who, sample] of Object.entries(peers)) console.log(`  ${line(who, sample, ratio[who as ContenderName])}`)
}

etcd3Folder()
const wanted = rows.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const results: Result[] = []
for (const row of wanted) {
  const result = await measure(row)
  print(result)
  results.push(result)
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
