import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { EndpointsMessage, WorkerMessage, WorkerTask } from './records.js'

/** A worker, and what it has reported. */
export class WorkerProcess {
  readonly name: string
  /** Resolves when all calls of the worker have ended. */
  readonly idle: Promise<void>
  readonly #child: ChildProcess
  readonly #ended: Promise<string | undefined>
  #position = 0

  constructor(task: WorkerTask) {
    this.name = `worker ${task.worker}`
    const flags = ['--import', './test/support/typescript.js', join(import.meta.dirname, 'worker.ts')]
    const child = spawn(process.execPath, flags, {
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, CHAOS_TASK: JSON.stringify(task) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    this.idle = new Promise((resolve) => {
      child.on('message', (message: WorkerMessage) => {
        if (message.kind === 'position') this.#position = message.revision
        else resolve()
      })
    })
    this.#ended = once(child, 'exit').then(([code, signal]) =>
      code === 0 ? undefined : `ended with ${code ?? signal}`,
    )
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The revision up to which its watch has delivered everything. */
  get position(): number {
    return this.#position
  }

  send(message: EndpointsMessage): void {
    if (this.#child.connected) this.#child.send(message)
  }

  /** Waits until a promise of the worker resolves. Returns what went wrong instead: it has ended, or has not in time. */
  async whenIdle(timeoutMs: number): Promise<string | undefined> {
    const isIdle = this.idle.then(() => undefined)
    return this.#within(timeoutMs, 'has calls that do not end', [isIdle, this.#ended])
  }

  /** Waits until the process has ended, and kills it if it does not. Returns what went wrong. */
  async whenEnded(timeoutMs: number): Promise<string | undefined> {
    const problem = await this.#within(timeoutMs, 'does not end', [this.#ended])
    this.#child.kill('SIGKILL')
    return problem
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #within(
    timeoutMs: number,
    complaint: string,
    promises: readonly Promise<string | undefined>[],
  ): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`${complaint} for ${timeoutMs / 1000} s`), timeoutMs)
    })
    const problem = await Promise.race([...promises, late])
    clearTimeout(timer)
    return problem === undefined ? undefined : `${this.name} ${problem}`
  }
}
