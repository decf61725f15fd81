import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EtcdCluster } from '../src/testing/index.js'

/** What is counted at the members, as counters over time. */
const counters = {
  Authenticate: calls('Authenticate'),
  Range: calls('Range'),
  Txn: calls('Txn'),
  Watch: calls('Watch'),
  LeaseGrant: calls('LeaseGrant'),
  KeepAlive: /^grpc_server_msg_received_total\{.*grpc_method="LeaseKeepAlive".*\} (\S+)$/m,
  Status: calls('Status'),
  cpu: /^process_cpu_seconds_total (\S+)$/m,
} as const
const gauges = {
  rssBytes: /^process_resident_memory_bytes (\S+)$/m,
  openFiles: /^process_open_fds (\S+)$/m,
  watchers: /^etcd_debugging_mvcc_watcher_total (\S+)$/m,
} as const

export type CounterName = keyof typeof counters | 'accepts' | 'connects'
export type GaugeName = keyof typeof gauges

interface Sample {
  readonly at: number
  readonly totals: Readonly<Record<CounterName, number>>
  readonly gauges: Readonly<Record<GaugeName, number>>
}

/** What the members did in a phase. */
export interface PhaseLoad {
  readonly seconds: number
  readonly totals: Readonly<Record<CounterName, number>>
  /** The most in any second. */
  readonly peaks: Readonly<Record<CounterName, number>>
  /** At the end of the phase, summed over the members. */
  readonly gauges: Readonly<Record<GaugeName, number>>
}

const sampleMs = 200
const names: readonly CounterName[] = [...(Object.keys(counters) as (keyof typeof counters)[]), 'accepts', 'connects']

function calls(method: string): RegExp {
  return new RegExp(`^grpc_server_started_total\\{.*grpc_method="${method}".*\\} (\\S+)$`, 'm')
}

/**
 * Samples the members' metrics. A counter that starts again from 0 with its member goes on from where it was. `accepts` and
 * `connects` are the TCP connections that any process of the machine has accepted and tried to open.
 */
export class MemberLoad {
  readonly #cluster: EtcdCluster
  readonly #samples: Sample[] = []
  readonly #last = new Map<string, number>()
  readonly #totals = Object.fromEntries(names.map((name) => [name, 0])) as Record<CounterName, number>
  readonly #sampling: Promise<void>
  #isStopped = false

  constructor(cluster: EtcdCluster) {
    this.#cluster = cluster
    this.#sampling = this.#run()
  }

  /** The load between two times on the clock of `performance.now()`. */
  between(from: number, to: number): PhaseLoad {
    const inside = this.#samples.filter(({ at }) => at >= from && at <= to)
    const [first, last] = [inside[0], inside.at(-1)]
    if (first === undefined || last === undefined) throw new Error('the phase is shorter than the sampling interval')
    const seconds = (last.at - first.at) / 1000
    const each = (value: (name: CounterName) => number): Record<CounterName, number> =>
      Object.fromEntries(names.map((name) => [name, value(name)])) as Record<CounterName, number>
    return {
      seconds,
      totals: each((name) => last.totals[name] - first.totals[name]),
      peaks: each((name) => peakPerSecond(inside, name)),
      gauges: last.gauges,
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#sampling
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const startedAt = performance.now()
      await this.#sample()
      await sleep(Math.max(0, sampleMs - (performance.now() - startedAt)))
    }
  }

  async #sample(): Promise<void> {
    const running = this.#cluster.members.filter(({ state }) => state === 'running')
    const sums: Record<GaugeName, number> = { rssBytes: 0, openFiles: 0, watchers: 0 }
    await Promise.all(
      running.map(async ({ name, clientUrl }) => {
        const text = await metricsOf(clientUrl)
        if (text === undefined) return
        for (const [counter, pattern] of Object.entries(counters)) this.#count(name, counter, sampleOf(text, pattern))
        for (const gauge of Object.keys(sums) as GaugeName[]) sums[gauge] += sampleOf(text, gauges[gauge])
      }),
    )
    const { accepts, connects } = tcpCounters()
    this.#count('machine', 'accepts', accepts)
    this.#count('machine', 'connects', connects)
    this.#samples.push({ at: performance.now(), totals: { ...this.#totals }, gauges: sums })
  }

  #count(source: string, counter: string, value: number): void {
    const key = `${source} ${counter}`
    const before = this.#last.get(key)
    this.#last.set(key, value)
    // The first sample of the machine's counters is where they start; a member starts at 0.
    if (before === undefined && source === 'machine') return
    this.#totals[counter as CounterName] += before === undefined || value < before ? value : value - before
  }
}

function peakPerSecond(samples: readonly Sample[], name: CounterName): number {
  let peak = 0
  let first = 0
  for (const { at, totals } of samples) {
    while (at - (samples[first]?.at ?? at) > 1000 + sampleMs / 2) first += 1
    const from = samples[first]
    if (from === undefined || at === from.at) continue
    const seconds = Math.max(1, (at - from.at) / 1000)
    peak = Math.max(peak, (totals[name] - from.totals[name]) / seconds)
  }
  return peak
}

async function metricsOf(clientUrl: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${clientUrl}/metrics`, { signal: AbortSignal.timeout(2000) })
    return await response.text()
  } catch {
    return undefined
  }
}

function sampleOf(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0)
}

/** Linux only; 0 elsewhere. */
function tcpCounters(): { readonly accepts: number; readonly connects: number } {
  try {
    const [header = '', values = ''] = readFileSync('/proc/net/snmp', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('Tcp:'))
    const columns = header.split(' ')
    const value = (name: string): number => Number(values.split(' ')[columns.indexOf(name)])
    return { accepts: value('PassiveOpens'), connects: value('ActiveOpens') }
  } catch {
    return { accepts: 0, connects: 0 }
  }
}
