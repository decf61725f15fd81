import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { ContenderName } from './contenders/contender.js'
import { median, type Sample } from './sample.js'
import type { Assignment } from './worker.js'

/** A round, with what it cost the cluster beside the client. */
export interface Round extends Sample {
  /** User and system time of all members for one operation, in microseconds. */
  readonly memberCpuUs: number
}

/** A process that measures a round for each line `round` on its standard input, and prints each as a line of JSON. */
export class Contestant {
  readonly name: ContenderName
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  readonly #rounds: Round[] = []

  constructor(name: ContenderName, command: string, args: readonly string[]) {
    this.name = name
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** A contender that runs in Node. */
  static ofNode(assignment: Assignment): Contestant {
    const worker = join(import.meta.dirname, 'worker.ts')
    return new Contestant(assignment.contender, process.execPath, [
      '--import',
      'tsx',
      worker,
      JSON.stringify(assignment),
    ])
  }

  /** One round; `counts` is false for those that only warm the process up. */
  async round(counts: boolean, memberCpuSeconds: () => Promise<number>): Promise<void> {
    const before = await memberCpuSeconds()
    this.#child.stdin.write('round\n')
    const { value } = await this.#lines.next()
    if (value === undefined) throw new Error(`${this.name} has ended`)
    const sample: Sample = JSON.parse(value)
    const memberCpuUs = (((await memberCpuSeconds()) - before) * 1e6) / sample.operations
    if (counts) this.#rounds.push({ ...sample, memberCpuUs })
  }

  get medians(): Round {
    const of = (field: keyof Round): number => median(this.#rounds.map((round) => round[field]))
    return {
      operations: of('operations'),
      opsPerSecond: of('opsPerSecond'),
      cpuUs: of('cpuUs'),
      memberCpuUs: of('memberCpuUs'),
      p50Ms: of('p50Ms'),
      p99Ms: of('p99Ms'),
      peakRssBytes: Math.max(...this.#rounds.map(({ peakRssBytes }) => peakRssBytes)),
    }
  }

  async end(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exited
  }
}
