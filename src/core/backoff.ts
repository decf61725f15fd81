/** Exponential growth from `baseMs`, doubling each time, up to `maxMs`. */
export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

/**
 * The wait before retry number `attempt`, starting at 1, with full jitter: uniformly distributed from 0 to the exponential
 * bound, so that callers that failed together do not retry together.
 */
export function fullJitterMs(attempt: number, { baseMs, maxMs }: Backoff, random: () => number = Math.random): number {
  return random() * boundMs(attempt, { baseMs, maxMs })
}

/** Like `fullJitterMs`, but at least half of the bound: for waits that must not be skipped, such as ejections. */
export function halfJitterMs(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  return boundMs(attempt, backoff) * (0.5 + random() / 2)
}

function boundMs(attempt: number, { baseMs, maxMs }: Backoff): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30))
}
