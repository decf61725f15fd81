import { once } from 'node:events'
import type { Context } from '../command.js'
import { Samples } from './samples.js'
import type { Workload } from './workload.js'

/** The messages of a process that makes a share of a benchmark. */
export type ShareMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly done: number }
  | { readonly kind: 'done'; readonly result: ShareResult }

/** What a share has given; times are on the clock of the system, in milliseconds. */
export interface ShareResult {
  readonly startedAt: number
  readonly endedAt: number
  readonly cpuMicros: number
  readonly latenciesMs: Float64Array
  readonly endedAtMs: Float64Array
  readonly errors: readonly (readonly [message: string, count: number])[]
  readonly members: readonly (readonly [endpoint: string, count: number])[]
}

const progressEveryMs = 100

/**
 * Makes the share of this process: begins when the parent says so, and cleans up when all shares are done, so that none
 * takes the keys of another for some that were there before.
 */
export async function runShare({ signal }: Context, workload: Workload): Promise<number> {
  // Without its parent nobody would read the result: it ends in order, as after a signal from a terminal.
  const orphaned = (): void => void process.kill(process.pid, 'SIGTERM')
  process.once('disconnect', orphaned)
  try {
    await turn({ kind: 'ready' }, signal)
    await turn({ kind: 'done', result: await measureShare(workload, signal) }, signal)
    return 0
  } finally {
    process.off('disconnect', orphaned)
    await workload.cleanUp?.()
    if (process.connected) process.disconnect()
  }
}

/** Sends a message and waits for the parent's answer. */
async function turn(message: ShareMessage, signal: AbortSignal): Promise<void> {
  const answered = once(process, 'message', { signal })
  process.send?.(message)
  await answered
}

async function measureShare(workload: Workload, signal: AbortSignal): Promise<ShareResult> {
  const samples = new Samples(workload.total)
  const timer = setInterval(() => process.send?.({ kind: 'progress', done: samples.done }), progressEveryMs)
  const cpuBefore = process.cpuUsage()
  const startedAt = systemTime()
  try {
    await workload.run(samples, signal)
  } finally {
    clearInterval(timer)
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    startedAt,
    endedAt: systemTime(),
    cpuMicros: user + system,
    latenciesMs: samples.latenciesMs.slice(),
    endedAtMs: samples.endedAtMs.map((at) => at + performance.timeOrigin),
    errors: [...samples.errors],
    members: [...samples.members],
  }
}

/** The clock of `performance.now()`, as other processes have it, too. */
function systemTime(): number {
  return performance.timeOrigin + performance.now()
}
