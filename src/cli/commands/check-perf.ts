import { randomBytes } from 'node:crypto'
import type { Etcd } from '../../index.js'
import { type LoadOptions, runLoad } from '../bench/load.js'
import { showProgress } from '../bench/progress.js'
import { Samples } from '../bench/samples.js'
import { type Context, defineCommand } from '../command.js'
import { CommandFailed, foundProblems } from '../failure.js'
import { durationFlagMs, formatNumber } from '../units.js'
import { UsageError } from '../usage-error.js'

/** The loads of etcdctl, in writes per second. */
const loads: Readonly<Record<string, Pick<LoadOptions, 'rate' | 'clients'>>> = {
  s: { rate: 150, clients: 50 },
  m: { rate: 1000, clients: 200 },
  l: { rate: 8000, clients: 500 },
  xl: { rate: 15_000, clients: 1000 },
}
const loadNames: Readonly<Record<string, string>> = { small: 's', medium: 'm', large: 'l', xLarge: 'xl' }

/** The bounds of etcdctl. */
const minShareOfRate = 0.9
const maxSlowestSeconds = 0.5
const maxDeviationSeconds = 0.1

const keyBytes = 10
const valueBytes = 1024

/** One line of the result. */
interface Verdict {
  readonly passed: boolean
  readonly text: string
}

/** What was measured. */
interface Measured {
  readonly writesPerSecond: number
  readonly slowestSeconds: number
  readonly deviationSeconds: number
  readonly failed: number
}

/** Checks whether the cluster can take a load. */
export const checkPerfCommand = defineCommand({
  name: 'check perf',
  usage: '',
  summary: 'check whether the cluster takes a load of writes in time',
  details: [
    'Passes if the cluster takes 90 % of the writes in time, the slowest in at most 0.5 s, with a standard deviation of at',
    'most 0.1 s. The prefix must have no keys; what is written is deleted at the end. Exit status: 3 if a check fails.',
  ],
  flags: {
    load: {
      type: 'string',
      value: 'LOAD',
      choices: [...Object.keys(loads), ...Object.keys(loadNames)],
      help: 'writes per second: s 150, m 1,000, l 8,000, xl 15,000, from 50, 200, 500, 1,000 clients (s)',
    },
    duration: { type: 'string', value: 'DURATION', help: 'how long (60s)' },
    prefix: { type: 'string', value: 'PREFIX', help: 'the prefix of the keys (/etcdctl-check-perf/)' },
    'auto-compact': { type: 'boolean', help: 'compact the history at the end' },
    'auto-defrag': { type: 'boolean', help: 'defragment the database of each endpoint at the end' },
  },
  arity: [0, 0],
  async run(context, { flags }) {
    const { load = 's', prefix = '/etcdctl-check-perf/' } = flags
    const { rate, clients } = loadOf(load)
    const seconds = durationFlagMs('duration', flags.duration ?? '60s') / 1000
    const total = Math.max(1, Math.round(rate * seconds))
    const etcd = context.client()
    await assertEmpty(etcd, prefix, context.signal)
    try {
      const measured = await measure(context, etcd, { prefix, total, clients, rate })
      return await print(context, rate, measured)
    } finally {
      await tidyUp(context, etcd, prefix, { compact: flags['auto-compact'], defrag: flags['auto-defrag'] })
    }
  },
})

function loadOf(name: string): Pick<LoadOptions, 'rate' | 'clients'> {
  const load = loads[loadNames[name] ?? name]
  if (load === undefined) throw new UsageError(`--load must be one of ${Object.keys(loads).join(', ')}, got ${name}`)
  return load
}

async function assertEmpty(etcd: Etcd, prefix: string, signal: AbortSignal): Promise<void> {
  if (prefix === '') throw new UsageError('--prefix must have at least one letter: its keys are deleted at the end')
  if ((await etcd.count({ prefix }, { signal })) === 0) return
  throw new CommandFailed(`the prefix ${prefix} has keys: delete them with etcdkit del --prefix ${prefix}`)
}

async function measure(
  { notes, signal }: Context,
  etcd: Etcd,
  { prefix, ...load }: Omit<LoadOptions, 'signal'> & { readonly prefix: string },
): Promise<Measured> {
  const samples = new Samples(load.total)
  const value = randomBytes(valueBytes)
  const write = () => etcd.put(Buffer.concat([Buffer.from(prefix), randomBytes(keyBytes)]), value, { signal })
  const hide = showProgress(notes, load.total, () => samples.done)
  const startedAt = performance.now()
  await runLoad(write, samples, { ...load, signal }).finally(hide)
  const seconds = (performance.now() - startedAt) / 1000
  const latencies = samples.latenciesMs.map((ms) => ms / 1000)
  return {
    writesPerSecond: latencies.length / seconds,
    slowestSeconds: latencies.reduce((slowest, latency) => Math.max(slowest, latency), 0),
    deviationSeconds: standardDeviation(latencies),
    failed: samples.failed,
  }
}

function standardDeviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return Math.sqrt(squares / Math.max(1, values.length))
}

async function print({ output }: Context, rate: number, measured: Measured): Promise<number> {
  const verdicts = verdictsOn(rate, measured)
  const passed = verdicts.every((verdict) => verdict.passed)
  if (output.format === 'json') await output.json({ passed, rate, ...measured })
  else {
    for (const verdict of verdicts) await output.line(`${word(verdict.passed)}: ${verdict.text}`)
    await output.line(word(passed))
  }
  return passed ? 0 : foundProblems
}

function word(passed: boolean): string {
  return passed ? 'PASS' : 'FAIL'
}

function verdictsOn(rate: number, measured: Measured): readonly Verdict[] {
  const { writesPerSecond, slowestSeconds, deviationSeconds, failed } = measured
  const isFast = writesPerSecond >= rate * minShareOfRate
  const isInTime = slowestSeconds <= maxSlowestSeconds
  const isEven = deviationSeconds <= maxDeviationSeconds
  const throughput = `${formatNumber(writesPerSecond)} writes/s`
  return [
    { passed: isFast, text: isFast ? `Throughput is ${throughput}` : `Throughput too low: ${throughput}` },
    {
      passed: isInTime,
      text: `Slowest request took ${isInTime ? '' : 'too long: '}${slowestSeconds.toFixed(6)}s`,
    },
    {
      passed: isEven,
      text: `Stddev ${isEven ? 'is' : 'too high:'} ${deviationSeconds.toFixed(6)}s`,
    },
    ...(failed === 0 ? [] : [{ passed: false, text: `${formatNumber(failed)} writes failed` }]),
  ]
}

async function tidyUp(
  { notes }: Context,
  etcd: Etcd,
  prefix: string,
  {
    compact = false,
    defrag = false,
  }: { readonly compact?: boolean | undefined; readonly defrag?: boolean | undefined },
): Promise<void> {
  notes.status('tidying up …')
  const { revision } = await etcd.deleteRange({ prefix })
  if (compact) await etcd.compact(revision, { physical: true })
  if (defrag) for (const { endpoint } of leaderLast(etcd)) await etcd.maintenance.defragment({ endpoint })
  notes.clear()
}

/** A member serves nothing while it defragments. */
function leaderLast(etcd: Etcd): readonly { readonly endpoint: string }[] {
  return etcd.endpoints().sort((a, b) => Number(a.role === 'leader') - Number(b.role === 'leader'))
}
