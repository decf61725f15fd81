import type { Samples } from './samples.js'

/** The figures of a run. Times are of the operations that succeeded. */
export interface Summary {
  readonly operations: number
  readonly failed: number
  readonly totalSeconds: number
  readonly slowestMs: number
  readonly fastestMs: number
  readonly averageMs: number
  readonly stddevMs: number
  readonly perSecond: number
  /** The operations that took at most `upToMs`, and longer than those of the previous row. */
  readonly histogram: readonly { readonly upToMs: number; readonly count: number }[]
  readonly percentiles: readonly { readonly percentile: number; readonly ms: number }[]
  /** User and system time of the client processes. */
  readonly cpuMicrosPerOperation: number
  readonly members: readonly { readonly endpoint: string; readonly operations: number }[]
  readonly errors: readonly { readonly message: string; readonly count: number }[]
  readonly throughput: readonly { readonly atSeconds: number; readonly perSecond: number }[]
}

/** The time and the CPU that a run took. */
export interface RunCost {
  readonly startedAt: number
  readonly endedAt: number
  readonly cpuMicros: number
}

const histogramRows = 10
const percentiles = [10, 25, 50, 75, 90, 95, 99, 99.9]
const maxThroughputPoints = 60
const minThroughputMs = 100

/** Sums up a run. */
export function summarize(samples: Samples, { startedAt, endedAt, cpuMicros }: RunCost): Summary {
  const sorted = samples.latenciesMs.slice().sort()
  const count = sorted.length
  const totalSeconds = (endedAt - startedAt) / 1000
  const averageMs = count === 0 ? 0 : sorted.reduce((sum, ms) => sum + ms, 0) / count
  const squares = sorted.reduce((sum, ms) => sum + (ms - averageMs) ** 2, 0)
  return {
    operations: count,
    failed: samples.failed,
    totalSeconds,
    slowestMs: sorted.at(-1) ?? 0,
    fastestMs: sorted[0] ?? 0,
    averageMs,
    stddevMs: count === 0 ? 0 : Math.sqrt(squares / count),
    perSecond: count / totalSeconds,
    histogram: histogramOf(sorted),
    percentiles: percentiles.map((percentile) => ({ percentile, ms: percentileOf(sorted, percentile) })),
    cpuMicrosPerOperation: count === 0 ? 0 : cpuMicros / count,
    members: descending(samples.members).map(([endpoint, operations]) => ({ endpoint, operations })),
    errors: descending(samples.errors).map(([message, count]) => ({ message, count })),
    throughput: throughputOf(samples.endedAtMs, startedAt, endedAt),
  }
}

/** The value that `percentile` per cent of all are not above. */
export function percentileOf(sorted: ArrayLike<number>, percentile: number): number {
  // A little less, for 99.9 per cent of 1000 come out as 999.0000000000001.
  const rank = Math.ceil((percentile / 100) * sorted.length - 1e-9)
  return sorted[Math.max(0, rank - 1)] ?? 0
}

/** Rows of equal width from the fastest to the slowest; the first one holds the fastest alone, as in etcd's own tool. */
function histogramOf(sorted: Float64Array): Summary['histogram'] {
  const [fastest = 0, slowest = 0] = [sorted[0], sorted.at(-1)]
  const width = (slowest - fastest) / histogramRows
  const counts = new Array<number>(histogramRows + 1).fill(0)
  for (const ms of sorted) {
    const row = width === 0 ? 0 : Math.min(histogramRows, Math.ceil((ms - fastest) / width))
    counts[row] = (counts[row] ?? 0) + 1
  }
  return counts.map((count, row) => ({ upToMs: row === histogramRows ? slowest : fastest + row * width, count }))
}

function throughputOf(endedAtMs: Float64Array, startedAt: number, endedAt: number): Summary['throughput'] {
  const spanMs = Math.max(1, endedAt - startedAt)
  const points = Math.min(maxThroughputPoints, Math.max(1, Math.floor(spanMs / minThroughputMs)))
  const widthMs = spanMs / points
  const counts = new Array<number>(points).fill(0)
  for (const at of endedAtMs) {
    const point = Math.min(points - 1, Math.floor((at - startedAt) / widthMs))
    counts[point] = (counts[point] ?? 0) + 1
  }
  return counts.map((count, point) => ({ atSeconds: (point * widthMs) / 1000, perSecond: (count * 1000) / widthMs }))
}

function descending(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([, a], [, b]) => b - a)
}
