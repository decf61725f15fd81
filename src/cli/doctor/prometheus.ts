/** One value of a metric. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const samplePattern = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/
const labelPattern = /(\w+)="((?:[^"\\]|\\.)*)"/g

/** The samples of the metrics whose names begin with one of `prefixes`, in Prometheus' text format, by name. */
export function parseMetrics(text: string, prefixes: readonly string[]): ReadonlyMap<string, readonly Sample[]> {
  const metrics = new Map<string, Sample[]>()
  for (const line of text.split('\n')) {
    if (!prefixes.some((prefix) => line.startsWith(prefix))) continue
    const [, name, labelText = '', value] = samplePattern.exec(line) ?? []
    if (name === undefined) continue
    const labels = Object.fromEntries([...labelText.matchAll(labelPattern)].map(([, label, text]) => [label, text]))
    const samples = metrics.get(name)
    if (samples === undefined) metrics.set(name, [{ labels, value: Number(value) }])
    else samples.push({ labels, value: Number(value) })
  }
  return metrics
}

/** A histogram: how many samples are at most so great, for growing bounds. */
export interface Bucket {
  readonly upTo: number
  readonly count: number
}

/** The buckets among samples of the same histogram. */
export function bucketsOf(samples: readonly Sample[]): Bucket[] {
  return samples
    .flatMap(({ labels, value }) => (labels.le === undefined ? [] : [{ upTo: boundOf(labels.le), count: value }]))
    .sort((a, b) => a.upTo - b.upTo)
}

/**
 * The value that a share of the samples does not exceed, taken as spread evenly in the bucket that it is in, as Prometheus
 * does; `undefined` for an empty histogram.
 */
export function histogramQuantile(buckets: readonly Bucket[], share: number): number | undefined {
  const total = buckets.at(-1)?.count ?? 0
  if (total === 0) return undefined
  const rank = total * share
  const at = buckets.findIndex(({ count }) => count >= rank)
  const [bucket, before] = [buckets[at], buckets[at - 1]]
  const from = before?.upTo ?? 0
  // Of what is above all bounds it is only known that it is.
  if (bucket === undefined || bucket.upTo === Number.POSITIVE_INFINITY) return from
  const inside = bucket.count - (before?.count ?? 0)
  return from + (bucket.upTo - from) * (inside === 0 ? 1 : (rank - (before?.count ?? 0)) / inside)
}

function boundOf(text: string): number {
  return text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text)
}
