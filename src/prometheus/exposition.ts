import type { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Attributes, Reading } from '../telemetry/measure.js'
import { type ExportedReading, mergedReadings } from '../telemetry/merged-readings.js'
import { type MetricName, metricNames } from '../telemetry/metric-definitions.js'
import type { ExposeOptions } from './expose-options.js'
import { grpcDefinitions } from './grpc-metrics.js'
import { type PromDefinition, promDefinition, promLabel, promName } from './names.js'

type Labels = Readonly<Record<string, string>>

/** The part of prom-client's metrics that is used here. */
interface Metric {
  readonly registered: Counter | Gauge | Histogram
  add(labels: Labels, value: number): void
  remove(labels: Labels): void
}

/** The definitions of all metrics, by name. */
export const promDefinitions: ReadonlyMap<string, PromDefinition> = new Map([
  ...Object.entries(grpcDefinitions),
  ...metricNames.map((name) => [promName(name), promDefinition(name)] as const),
])

/** The metrics of all clients in one registry. They are registered while at least one client is exposed. */
export class Exposition {
  readonly #client: ExposeOptions['promClient']
  readonly #registry: Registry
  readonly #prefix: string
  readonly #series = new Set<Series>()
  #metrics = new Map<string, Metric>()

  constructor(client: ExposeOptions['promClient'], registry: Registry, prefix: string) {
    this.#client = client
    this.#registry = registry
    this.#prefix = prefix
  }

  join(clientName: string, read: () => readonly Reading[]): Series {
    if (this.#series.size === 0) this.#register()
    const series = new Series(clientName, read, {
      add: (name, labels, value) => this.#metrics.get(name)?.add(labels, value),
      left: (left) => this.#left(left),
    })
    this.#series.add(series)
    // A counter that exists before anything was counted shows the first count as a change.
    for (const [name, { kind, labels }] of promDefinitions)
      if (kind === 'counter' && labels.length === 0) series.add(name, 0, {})
    return series
  }

  #left(left: Series): void {
    this.#series.delete(left)
    if (this.#series.size === 0) this.#unregister()
    // Another client with this name continues the series of both.
    else if (![...this.#series].some(({ client }) => client === left.client)) this.#forget(left)
  }

  #forget({ used }: Series): void {
    for (const [name, all] of used) for (const labels of all.values()) this.#metrics.get(name)?.remove(labels)
  }

  #register(): void {
    try {
      for (const [name, definition] of promDefinitions) this.#metrics.set(name, this.#create(name, definition))
    } catch (error) {
      // A name is in use. Without this, a second try would fail at the names registered before it.
      this.#unregister()
      throw error
    }
  }

  #unregister(): void {
    for (const [name, { registered }] of this.#metrics) {
      const fullName = this.#prefix + name
      // After a `clear()` of the registry, the name may belong to another metric.
      if (this.#registry.getSingleMetric(fullName) === registered) this.#registry.removeSingleMetric(fullName)
    }
    this.#metrics = new Map()
  }

  #create(name: string, { kind, help, labels, buckets = [] }: PromDefinition): Metric {
    const base = { name: this.#prefix + name, help, labelNames: ['client', ...labels], registers: [this.#registry] }
    const { Counter, Gauge, Histogram } = this.#client
    switch (kind) {
      case 'counter':
        return counting(new Counter(base))
      case 'histogram':
        return observing(new Histogram({ ...base, buckets: [...buckets] }))
      case 'gauge': {
        const gauge: Gauge = new Gauge({ ...base, collect: () => this.#readInto(name, gauge) })
        return counting(gauge)
      }
      case 'total': {
        const counter: Counter = new Counter({ ...base, collect: () => this.#readInto(name, counter) })
        return counting(counter)
      }
    }
  }

  /** Observes a metric of all clients; clients with the same name share a series. */
  #readInto(name: string, metric: Gauge | Counter): void {
    metric.reset()
    const all = [...this.#series].flatMap((series) => series.read(name))
    for (const { attributes, value } of mergedReadings(all)) metric.inc(attributes, value)
  }
}

/** Receives the value of a series. */
interface SeriesHost {
  add(name: string, labels: Labels, value: number): void
  left(series: Series): void
}

/** The series of one client in a registry. */
export class Series {
  readonly client: string
  /** The label values that this client has used, by metric. */
  readonly used = new Map<string, Map<string, Labels>>()
  readonly #read: () => readonly Reading[]
  readonly #host: SeriesHost

  constructor(client: string, read: () => readonly Reading[], host: SeriesHost) {
    this.client = client
    this.#read = read
    this.#host = host
  }

  /** Records a measurement of a metric, named as in OpenTelemetry. */
  take(name: MetricName, value: number, attributes: Attributes): void {
    this.add(promName(name), value, labelsOf(attributes))
  }

  add(name: string, value: number, own: Labels): void {
    const labels = { client: this.client, ...own }
    const known = this.used.get(name) ?? new Map<string, Labels>()
    this.used.set(name, known)
    known.set(Object.values(labels).join('\0'), labels)
    this.#host.add(name, labels, value)
  }

  /** The current values of a metric. */
  read(name: string): ExportedReading<string>[] {
    return this.#read()
      .filter((reading) => promName(reading.name) === name)
      .map((reading) => ({ ...reading, attributes: { client: this.client, ...labelsOf(reading.attributes) } }))
  }

  /** Removes the series from the registry. */
  leave(): void {
    this.#host.left(this)
  }
}

function counting(metric: Counter | Gauge): Metric {
  return {
    registered: metric,
    add: (labels, value) => metric.inc(labels, value),
    remove: (labels) => metric.remove(labels),
  }
}

function observing(metric: Histogram): Metric {
  return {
    registered: metric,
    add: (labels, value) => metric.observe(labels, value),
    remove: (labels) => metric.remove(labels),
  }
}

/** Missing labels and empty labels would be different series. */
function labelsOf(attributes: Attributes): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined ? [] : [[promLabel(name), String(value)]],
    ),
  )
}
