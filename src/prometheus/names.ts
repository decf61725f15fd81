import { type MetricName, metricDefinition } from '../telemetry/metric-definitions.js'

/** The definition of a metric in Prometheus. */
export interface PromDefinition {
  readonly kind: 'counter' | 'histogram' | 'gauge' | 'total'
  readonly help: string
  /** The labels besides `client`. */
  readonly labels: readonly string[]
  readonly buckets?: readonly number[]
}

/**
 * The name that OpenTelemetry's exporter for Prometheus gives a metric, so that one dashboard works with both: dots become
 * underscores, and names end in `_seconds` and `_total`.
 */
export function promName(name: MetricName): string {
  const { kind, unit } = metricDefinition(name)
  const base = name.replaceAll('.', '_') + (unit === 's' ? '_seconds' : '')
  return kind === 'counter' || kind === 'total' ? `${base}_total` : base
}

/** `etcd.reason` is `reason`, `error.type` is `error_type`. */
export function promLabel(attribute: string): string {
  return attribute.replace(/^etcd\./, '').replaceAll('.', '_')
}

/** The definition of a metric in Prometheus. */
export function promDefinition(name: MetricName): PromDefinition {
  const { kind, description, attributes, buckets } = metricDefinition(name)
  const definition = { kind, help: description, labels: attributes.map(promLabel) }
  return buckets === undefined ? definition : { ...definition, buckets }
}
