import { type MetricName, metricDefinition } from './metric-definitions.js'

/** A value that is read off, with attributes or labels as they are exported. */
export interface ExportedReading<Value> {
  readonly name: MetricName
  readonly value: number
  readonly attributes: Readonly<Record<string, Value>>
}

/**
 * One reading for each series. Clients of one name have the same series, and so have informers of one range in one client:
 * what is read off them becomes their sum or their maximum, as the metric is defined.
 */
export function mergedReadings<Value>(all: Iterable<ExportedReading<Value>>): Iterable<ExportedReading<Value>> {
  const merged = new Map<string, ExportedReading<Value>>()
  for (const reading of all) {
    const series = seriesOf(reading)
    const before = merged.get(series)
    merged.set(series, before === undefined ? reading : { ...reading, value: merge(reading.name, before, reading) })
  }
  return merged.values()
}

function merge(name: MetricName, a: { readonly value: number }, b: { readonly value: number }): number {
  const { merge = 'sum' } = metricDefinition(name)
  return merge === 'sum' ? a.value + b.value : Math.max(a.value, b.value)
}

/** The same text for the same series, in whatever order its attributes are. */
function seriesOf({ name, attributes }: ExportedReading<unknown>): string {
  return JSON.stringify([name, Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))])
}
