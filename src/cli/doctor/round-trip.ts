import { percentileOf } from '../bench/summary.js'
import type { MemberCalls } from '../member-calls.js'
import type { Spread } from './report.js'

/** How many calls are made to see how long one takes, and how long that may take altogether. */
const maxCalls = 50
const longestMs = 2000
/** The first ones pay for connections and caches. */
const warmUpCalls = 3

/** How long small calls to a member take from here. Rejects where one is not answered. */
export async function roundTripsOf(
  calls: MemberCalls,
  mode: 'linearizable' | 'serializable',
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Spread> {
  const times: number[] = []
  const endAt = performance.now() + longestMs
  for (let made = 0; made < maxCalls + warmUpCalls && (performance.now() < endAt || times.length === 0); made += 1) {
    const startedAt = performance.now()
    await calls.touch(mode, { timeoutMs, signal })
    if (made >= warmUpCalls || performance.now() >= endAt) times.push(performance.now() - startedAt)
  }
  const sorted = times.sort((a, b) => a - b)
  return { p50Ms: percentileOf(sorted, 50), p99Ms: percentileOf(sorted, 99), samples: sorted.length }
}
