import { sleep } from '../../core/wait.js'
import { messageOf } from '../failure.js'
import type { Samples } from './samples.js'

/** The result of one operation. */
export interface Done {
  /** The member that answered. */
  readonly endpoint?: string | undefined
  /** How long it took, where that is not the time until it resolved. */
  readonly durationMs?: number
}

/** How operations are made. */
export interface LoadOptions {
  readonly total: number
  /** The number of the first operation. @default 0 */
  readonly first?: number
  /** The number of operations in flight. */
  readonly clients: number
  /** Operations per second; 0 for as many as can be. */
  readonly rate: number
  readonly signal: AbortSignal
}

/**
 * Makes an operation. `worker` is which of the clients makes it. A write is not canceled by an interrupt: the member might
 * still apply it after the cleanup.
 */
export type Operation = (index: number, worker: number) => Promise<Done>

/** The delay that a timer may have without load. */
const timerLagMs = 2

/**
 * Makes `total` operations, `clients` of them in flight. With a rate, each has a time at which it is to start, and is measured
 * from then on, even if all clients were busy: the wait is what a user of an overloaded cluster would see. Left out, as
 * by tools that measure from the sending, it makes a cluster that stands still for seconds look fine.
 */
export async function runLoad(operation: Operation, samples: Samples, options: LoadOptions): Promise<void> {
  const { total, first = 0, clients, rate, signal } = options
  const startedAt = performance.now()
  let next = 0
  const work = async (worker: number): Promise<void> => {
    while (next < total) {
      signal.throwIfAborted()
      const index = next
      next += 1
      const dueAt = rate === 0 ? performance.now() : await due(startedAt + (index * 1000) / rate, signal)
      await measure(() => operation(first + index, worker), samples, { dueAt, signal })
    }
  }
  const workers = Array.from({ length: Math.min(clients, total) }, (_, worker) => work(worker))
  // After an interrupt, the caller deletes what was written: by then nothing may be in flight.
  await Promise.allSettled(workers)
  await Promise.all(workers)
}

/** Waits for a time, and gives the one that it is to be measured from. */
async function due(at: number, signal: AbortSignal): Promise<number> {
  const waitMs = at - performance.now()
  if (waitMs <= 0) return at
  await sleep(waitMs, signal)
  const now = performance.now()
  return now - at <= timerLagMs ? now : at
}

async function measure(
  operation: () => Promise<Done>,
  samples: Samples,
  { dueAt, signal }: { readonly dueAt: number; readonly signal: AbortSignal },
): Promise<void> {
  try {
    const { endpoint, durationMs } = await operation()
    samples.succeeded(durationMs ?? performance.now() - dueAt, endpoint)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    samples.hasFailed(messageOf(error))
  }
}
