/**
 * What the diagnostics channels add to a call, in CPU of the interceptors alone: nothing is sent. A call over the network costs
 * some hundred times as much as the first row.
 *
 *     npx tsx bench/diagnostics.ts [--calls 20000] [--rounds 7]
 */
import { parseArgs } from 'node:util'
import { attemptObserver, callObserver } from '../src/interceptors/observe.js'
import { methods } from '../src/protobuf/methods.js'
import { channels, tracing } from '../src/telemetry/channels.js'
import { ClientTelemetry } from '../src/telemetry/client-telemetry.js'
import { progressOf } from '../src/transport/call-progress.js'
import { callContext, type Interceptor, intercept, type Transport } from '../src/transport/transport.js'

const { values } = parseArgs({
  options: { calls: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '7' } },
})
const calls = Number(values.calls)
const rounds = Number(values.rounds)
const request = { key: Buffer.from('bench/key') }
const answer = { kvs: [], count: 0, more: false }

/** Answers at once, so that nothing is measured but the interceptors. */
const base: Transport = {
  async unary(_method, _request, context) {
    const wire = progressOf.wire(context)
    wire.attempts += 1
    wire.endpoint = 'http://127.0.0.1:2379'
    return answer as never
  },
}
const telemetry = new ClientTelemetry({ name: 'bench', namespace: undefined, keys: true, slowCallMs: 300 })
/** What the observer of calls does beside observing: it completes errors. */
const silent: Interceptor = async (method, request, context, next) => {
  try {
    return await next(method, request, context)
  } catch (error) {
    throw Object.assign(error as Error, { attempts: context.progress.attempts })
  }
}
const observed = intercept(
  base,
  callObserver(telemetry, () => 'leader'),
  attemptObserver(telemetry),
)

/** Subscribes and gives the function that ends that. */
type Subscribe = () => () => void

const nobody: Subscribe = () => () => {}
const listen = (): void => {}
const onSlow: Subscribe = () => {
  channels.slow.subscribe(listen)
  return () => channels.slow.unsubscribe(listen)
}
const onCalls: Subscribe = () => {
  channels.call.subscribe(listen)
  return () => channels.call.unsubscribe(listen)
}
const onTraces: Subscribe = () => {
  const { call, attempt } = tracing
  const followed = [call.start, call.asyncEnd, attempt.start, attempt.asyncEnd]
  for (const channel of followed) channel.subscribe(listen)
  return () => {
    for (const channel of followed) channel.unsubscribe(listen)
  }
}

type Row = readonly [name: string, transport: Transport, subscribe: Subscribe]

/** Measured first: Node makes channels slower to look at for good once somebody has listened to them. */
const untouched: readonly Row[] = [
  ['an interceptor that observes nothing', intercept(base, silent), nobody],
  ['no subscriber', observed, nobody],
]
const subscribed: readonly Row[] = [
  ['etcdkit:slow', observed, onSlow],
  ['etcdkit:call', observed, onCalls],
  ['tracing of calls and attempts', observed, onTraces],
  ['when all have left', observed, nobody],
]

async function nanosecondsPerCall(transport: Transport): Promise<number> {
  const before = process.cpuUsage()
  for (let count = 0; count < calls; count += 1) {
    await transport.unary(methods.KV.Range, request, callContext(undefined, { repeatable: true }))
  }
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1000) / calls
}

async function compare(rows: readonly Row[]): Promise<void> {
  const results = new Map(rows.map(([name]) => [name, [] as number[]]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, transport, subscribe] of rows) {
      const unsubscribe = subscribe()
      const took = await nanosecondsPerCall(transport)
      unsubscribe()
      // The first round warms up.
      if (round > 0) results.get(name)?.push(took)
    }
  }
  for (const [name, took] of results) {
    const median = took.sort((a, b) => a - b)[Math.floor(took.length / 2)] ?? Number.NaN
    console.log(`${name.padEnd(30)} ${median.toFixed(0).padStart(6)} ns of CPU a call`)
  }
}

await compare(untouched)
await compare(subscribed)
