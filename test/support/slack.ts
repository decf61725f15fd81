import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'

/** An upper bound on a duration: what an idle machine needs at most, times `slack()`. Lower bounds need no slack. */
export function within(idleMs: number): number {
  return idleMs * slack()
}

/** How many times longer than on an idle machine work takes: 1 where no task waits for a core. */
export function slack(): number {
  const [perMinute = 0] = loadavg()
  return Math.max(1, perMinute / availableParallelism(), 1 + waitPerRun())
}

/** How long this thread has waited for a core for each moment that it had one; 0 where the system does not measure it. */
function waitPerRun(): number {
  try {
    const [ran = 0, waited = 0] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ').map(Number)
    return ran === 0 ? 0 : waited / ran
  } catch {
    return 0
  }
}
