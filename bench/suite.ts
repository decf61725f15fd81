/**
 * The side-by-side suite: this library, npm `etcd3`, Go's clientv3, bare grpc-js and bare node:http2 make the same calls to
 * the same cluster, in turns, each in a separate process. Each figure is the median of the rounds.
 *
 *     npm run bench -- [--quick] [--rounds 5] [--json FILE] [row …]
 *
 * A ratio compares this library with a contender: operations for a second of client CPU, then operations per second.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { EtcdCluster } from '../src/testing/index.js'
import type { ContenderName, Target } from './contenders/contender.js'
import { etcd3Folder } from './contenders/etcd3.js'
import { goClientProgram } from './contenders/go-clientv3.js'
import { Contestant, type Round } from './contestant.js'
import { type Row, rows, type Scale, singleKeys } from './rows.js'

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
  : { roundMs: 2000, listKeys: 100_000, events: 50_000, locks: 1000 }

const password = 'bench-password'

/** Rounds until the code of a contender is compiled. */
const warmUps = values.quick ? 3 : 2

const goClient = goClientProgram()

/** How many times more this library does, for a second of its CPU and in a second of time. */
interface Ratio {
  readonly cpu: number
  readonly wall: number
}

/** One row of the result, as it is written to the JSON file. */
interface Result {
  readonly name: string
  readonly contenders: Readonly<Partial<Record<ContenderName, Round>>>
  readonly ratios: Readonly<Partial<Record<ContenderName, Ratio>>>
}

function clusterOptions({ auth, tls = false, members = 1 }: Row) {
  return { members, tls, ...(auth === true ? { auth: { rootPassword: password } } : {}) }
}

function start(row: Row, contender: ContenderName, target: Target, prepared: number): Contestant[] {
  if (contender !== 'go-clientv3') return [Contestant.ofNode({ row: row.name, contender, target, scale, prepared })]
  if (goClient === undefined || row.load === undefined) return []
  const assignment = { ...row.load, ...target, keys: singleKeys, roundMs: scale.roundMs }
  return [new Contestant(contender, goClient, [JSON.stringify(assignment)])]
}

async function measure(row: Row): Promise<Result> {
  await using cluster = await EtcdCluster.start(clusterOptions(row))
  const target: Target = {
    endpoints: cluster.endpoints,
    ca: row.tls === true ? cluster.tls?.ca : undefined,
    auth: row.auth === true ? { username: 'root', password } : undefined,
  }
  const prepared = (await row.prepare?.(target, scale)) ?? 0
  const contestants = row.contenders.flatMap((contender) => start(row, contender, target, prepared))
  const memberCpuSeconds = (): Promise<number> => cluster.metric('process_cpu_seconds_total')
  const once = row.once === true && !values.quick
  for (let round = once ? 0 : -warmUps; round < (once ? 1 : rounds); round += 1) {
    for (const contestant of contestants) await contestant.round(round >= 0, memberCpuSeconds)
  }
  for (const contestant of contestants) await contestant.end()
  return resultOf(row.name, contestants)
}

function resultOf(name: string, contestants: readonly Contestant[]): Result {
  const figures = contestants.map((contestant) => [contestant.name, contestant.medians] as const)
  const [[, ours] = [], ...others] = figures
  if (ours === undefined) throw new Error(`${name} has no contender`)
  const ratios = others.map(([other, { cpuUs, opsPerSecond }]): [ContenderName, Ratio] => [
    other,
    { cpu: Number((cpuUs / ours.cpuUs).toFixed(2)), wall: Number((ours.opsPerSecond / opsPerSecond).toFixed(2)) },
  ])
  return { name, contenders: Object.fromEntries(figures), ratios: Object.fromEntries(ratios) }
}

function print({ name, contenders, ratios }: Result): void {
  console.log(`\n${name}`)
  for (const [who, round] of Object.entries(contenders)) {
    const ratio = ratios[who as ContenderName]
    console.log(`  ${lineOf(who === 'ours' ? 'etcdkit' : who, round, ratio)}`)
  }
}

function lineOf(who: string, round: Round, ratio: Ratio | undefined): string {
  const { opsPerSecond, cpuUs, memberCpuUs, p50Ms, p99Ms, peakRssBytes } = round
  return [
    who.padEnd(13),
    `${opsPerSecond.toFixed(0).padStart(9)}/s`,
    `${cpuUs.toFixed(1).padStart(8)} µs CPU`,
    `member ${memberCpuUs.toFixed(1).padStart(7)} µs`,
    `p50 ${p50Ms.toFixed(2).padStart(8)} ms`,
    `p99 ${p99Ms.toFixed(2).padStart(8)} ms`,
    `${(peakRssBytes / 2 ** 20).toFixed(0).padStart(5)} MiB`,
    ratio === undefined ? '' : `ratio CPU ${ratio.cpu.toFixed(2)}, wall ${ratio.wall.toFixed(2)}`,
  ].join('  ')
}

etcd3Folder()
if (goClient === undefined) console.log('Go is not installed: the rows are without go-clientv3')
const wanted = rows.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const results: Result[] = []
for (const row of wanted) {
  const result = await measure(row)
  print(result)
  results.push(result)
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
