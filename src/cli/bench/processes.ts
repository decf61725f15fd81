import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Context } from '../command.js'
import { CommandFailed } from '../failure.js'
import { Samples } from './samples.js'
import { shareVariable } from './share.js'
import type { ShareMessage, ShareResult } from './share-worker.js'
import type { RunCost } from './summary.js'

/** A benchmark that several processes make together. */
export interface SharedRun {
  /** The words and flags of the command, without `--processes`. */
  readonly argv: readonly string[]
  readonly processes: number
  readonly onProgress: (done: number) => void
}

/** What all shares have given together. */
export interface SharedResult {
  readonly samples: Samples
  readonly cost: RunCost
}

// Beside this file in the package, and in a checkout, where it is TypeScript.
const program = fileURLToPath(new URL(`../bin${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))

/** Runs the same command in several processes, each with its share of the load, all beginning at the same time. */
export async function runProcesses({ env, signal }: Context, run: SharedRun): Promise<SharedResult> {
  const shares = Array.from({ length: run.processes }, (_, index) => new ShareProcess(index, run, env))
  const end = (): void => {
    for (const share of shares) share.kill()
  }
  signal.addEventListener('abort', end)
  run.onProgress(0)
  try {
    signal.throwIfAborted()
    await Promise.all(shares.map((share) => share.ready()))
    const report = (): void => run.onProgress(shares.reduce((sum, { done }) => sum + done, 0))
    const results = await Promise.all(shares.map((share) => share.result(report)))
    await Promise.all(shares.map((share) => share.end()))
    return merged(results)
  } catch (error) {
    end()
    await Promise.all(shares.map((share) => share.exited()))
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** One of the processes. */
class ShareProcess {
  done = 0
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  #stderr = ''

  constructor(index: number, { argv, processes }: SharedRun, env: Context['env']) {
    this.#child = fork(program, argv, {
      env: { ...env, [shareVariable]: `${index}/${processes}` },
      // Numbers stay numbers in typed arrays.
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.#exit = once(this.#child, 'close')
  }

  kill(): void {
    this.#child.kill('SIGTERM')
  }

  async exited(): Promise<void> {
    await this.#exit
  }

  /** Resolves when it is connected and may begin. */
  async ready(): Promise<void> {
    await this.#next('ready')
  }

  /** Lets it begin, and resolves to what its share has given. */
  async result(onProgress: () => void): Promise<ShareResult> {
    this.#child.on('message', (message: ShareMessage) => {
      if (message.kind !== 'progress') return
      this.done = message.done
      onProgress()
    })
    const done = this.#next('done')
    this.#child.send('begin')
    return (await done).result
  }

  /** Lets it clean up and end. */
  async end(): Promise<void> {
    this.#child.send('end')
    await this.#exit
  }

  #next<Kind extends ShareMessage['kind']>(kind: Kind): Promise<Extract<ShareMessage, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const child = this.#child
      const onMessage = (message: ShareMessage): void => {
        if (message.kind !== kind) return
        child.off('message', onMessage)
        child.off('close', onClose)
        resolve(message as Extract<ShareMessage, { kind: Kind }>)
      }
      const onClose = (): void => reject(this.#failure())
      child.on('message', onMessage)
      child.once('close', onClose)
    })
  }

  #failure(): CommandFailed {
    const text = this.#stderr.trim().replace(/^error: /, '')
    return new CommandFailed(text === '' ? 'a process of the benchmark has ended' : text)
  }
}

function merged(results: readonly ShareResult[]): SharedResult {
  const samples = new Samples(results.reduce((sum, { latenciesMs }) => sum + latenciesMs.length, 0))
  for (const result of results) samples.addAll(result)
  return {
    samples,
    cost: {
      startedAt: Math.min(...results.map(({ startedAt }) => startedAt)),
      endedAt: Math.max(...results.map(({ endedAt }) => endedAt)),
      cpuMicros: results.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
    },
  }
}
