import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Etcd } from '../../src/index.js'
import type { LockReport, LockTask } from './lock-worker.js'

const root = join(import.meta.dirname, '../..')

/** Runs one process of a storm of locks, to its end. */
export async function runLockWorker(task: LockTask): Promise<LockReport> {
  const child = spawn(
    process.execPath,
    ['--import', './test/support/typescript.js', join(import.meta.dirname, 'lock-worker.ts')],
    {
      cwd: root,
      env: { ...process.env, LOCK_TASK: JSON.stringify(task) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let output = ''
  child.stdout.on('data', (bytes) => {
    output += bytes
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`a worker ended with ${code}: ${output}`)
  return JSON.parse(output) as LockReport
}

/** Watches what all holders write down, from now on, and checks it in the end. */
export class LockHistory {
  readonly #entries = new Map<string, string[]>()
  readonly #watching: Promise<void>
  readonly #abort = new AbortController()
  #revision = 0

  constructor(etcd: Etcd) {
    this.#watching = this.#watch(etcd)
    this.#watching.catch(() => {})
  }

  /** All that was written up to a revision, as sentences of what must not be. Empty if all is well. */
  async violations(revision: number): Promise<string[]> {
    while (this.#revision < revision) await new Promise((resolve) => setTimeout(resolve, 10))
    this.#abort.abort()
    await this.#watching.catch(() => {})
    return [...this.#entries].flatMap(([name, entries]) => violationsOf(name, entries))
  }

  /** How many holders have begun. */
  get begun(): number {
    return [...this.#entries.values()].flat().filter((entry) => entry.startsWith('begin')).length
  }

  async #watch(etcd: Etcd): Promise<void> {
    const options = { startRevision: 1, progress: true, signal: this.#abort.signal }
    for await (const { events, revision } of etcd.watch({ prefix: 'history/' }, options).batches()) {
      for (const { kv } of events) {
        const name = kv.key.toString()
        this.#entries.set(name, [...(this.#entries.get(name) ?? []), kv.value.toString()])
      }
      this.#revision = revision
    }
  }
}

/** Each holder begins after the one before, with a greater fence, and ends before the next one begins, if it ends. */
function violationsOf(name: string, entries: readonly string[]): string[] {
  const found: string[] = []
  let holder = 0
  for (const entry of entries) {
    const [what, text] = entry.split(' ')
    const fence = Number(text)
    if (what === 'begin' && fence <= holder) found.push(`${name}: ${fence} begins after ${holder}`)
    if (what === 'end' && fence !== holder) found.push(`${name}: ${fence} ends while ${holder} holds`)
    if (what === 'begin') holder = fence
  }
  return found
}
