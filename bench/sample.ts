/** What one round of a contender cost. */
export interface Sample {
  readonly operations: number
  readonly opsPerSecond: number
  /** User and system time of the contender's process for one operation, in microseconds. */
  readonly cpuUs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakRssBytes: number
}

/** The sample of a round that began with these readings. */
export function sampleSince(
  { startedAt, cpu }: Readings,
  { operations, latenciesMs }: { readonly operations: number; readonly latenciesMs: readonly number[] },
): Sample {
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const sorted = Float64Array.from(latenciesMs).sort()
  const percentile = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0
  return {
    operations,
    opsPerSecond: operations / seconds,
    cpuUs: (user + system) / operations,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  }
}

/** The clocks of this process at the beginning of a round. */
export interface Readings {
  readonly startedAt: number
  readonly cpu: NodeJS.CpuUsage
}

export function readings(): Readings {
  return { startedAt: performance.now(), cpu: process.cpuUsage() }
}

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}
