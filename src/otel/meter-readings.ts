import type { Attributes, AttributeValue, Meter, Observable } from '@opentelemetry/api'
import { type ExportedReading, mergedReadings } from '../telemetry/merged-readings.js'
import { type MetricName, metricDefinition, metricNames } from '../telemetry/metric-definitions.js'

/** The observed values of a client. */
export type ReadClient = () => readonly ExportedReading<AttributeValue | undefined>[]

/** The clients of each meter. */
const readingsOf = new WeakMap<Meter, MeterReadings>()

/** Observes a client whenever the meter is collected. Returns a function that stops. */
export function meterReadings(meter: Meter, read: ReadClient): () => void {
  const all = readingsOf.get(meter) ?? new MeterReadings(meter)
  readingsOf.set(meter, all)
  return all.join(read)
}

/**
 * The observed values of the clients of one meter. The SDK keeps only the last of several observations of a series, so the
 * readings of clients with the same name are merged first.
 */
class MeterReadings {
  readonly #meter: Meter
  readonly #instruments: ReadonlyMap<MetricName, Observable>
  readonly #clients = new Set<ReadClient>()

  constructor(meter: Meter) {
    this.#meter = meter
    this.#instruments = instrumentsOf(meter)
  }

  join(read: ReadClient): () => void {
    if (this.#clients.size === 0) this.#meter.addBatchObservableCallback(this.#observe, this.#observables())
    this.#clients.add(read)
    return () => this.#leave(read)
  }

  #leave(read: ReadClient): void {
    if (!this.#clients.delete(read) || this.#clients.size > 0) return
    this.#meter.removeBatchObservableCallback(this.#observe, this.#observables())
  }

  readonly #observe: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
    const all = [...this.#clients].flatMap((read) => read())
    for (const { name, value, attributes } of mergedReadings(all)) {
      const instrument = this.#instruments.get(name)
      if (instrument !== undefined) result.observe(instrument, value, attributes)
    }
  }

  #observables(): Observable[] {
    return [...this.#instruments.values()]
  }
}

function instrumentsOf(meter: Meter): ReadonlyMap<MetricName, Observable<Attributes>> {
  return new Map(
    metricNames.flatMap((name) => {
      const { kind, unit, description } = metricDefinition(name)
      if (kind === 'gauge') return [[name, meter.createObservableGauge(name, { unit, description })] as const]
      if (kind === 'total') return [[name, meter.createObservableCounter(name, { unit, description })] as const]
      return []
    }),
  )
}
