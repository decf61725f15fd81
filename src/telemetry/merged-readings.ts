import { type MetricName, metricDefinition } from './metric-definitions.js'

/** An observed value, with attributes or labels as they are exported. */
export interface ExportedReading<Value> {
  readonly name: MetricName
  readonly value: number
  readonly attributes: Readonly<Record<string, Value>>
}

/**
 * One reading for each series. Clients with the same name share series, and so do informers of the same range in one client:
 * their readings are merged to the sum or the maximum, depending on the metric.
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

/** The same text for the same series, independent of the order of its attributes. */
function seriesOf({ name, attributes }: ExportedReading<unknown>): string {
  return JSON.stringify([name, Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))])
}
