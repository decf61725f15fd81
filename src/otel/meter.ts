import type { Attributes, Meter } from '@opentelemetry/api'
import type { ObservedClient } from '../telemetry/client-stats.js'
import { measure, measureRpcs, readings } from '../telemetry/measure.js'
import { metricDefinition, metricNames } from '../telemetry/metric-definitions.js'
import { grpcCode } from '../telemetry/rpc-names.js'
import { meteredServer } from './attributes.js'
import { meterReadings } from './meter-readings.js'

const rpcBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** Records the metrics of a client. Returns a function that stops. */
export function meterClient(etcd: ObservedClient, meter: Meter, own: Attributes): () => void {
  const { client } = etcd.stats()
  const common = { ...own, 'etcd.client': client.name }
  const takers = new Map(metricNames.map((name) => [name, taker(meter, name)]))
  const endMeasuring = measure(client, (name, value, attributes) => {
    takers.get(name)?.(value, defined({ ...common, ...attributes }))
  })
  const endRpcs = meterRpcs(etcd, meter, common)
  const endReading = meterReadings(meter, () =>
    readings(etcd.stats()).map((reading) => ({
      ...reading,
      attributes: defined({ ...common, ...reading.attributes }),
    })),
  )
  return () => {
    endMeasuring()
    endRpcs()
    endReading()
  }
}

type Taker = (value: number, attributes: Attributes) => void

/** Records the values of a counter or a histogram. */
function taker(meter: Meter, name: (typeof metricNames)[number]): Taker | undefined {
  const { kind, unit, description, buckets = [] } = metricDefinition(name)
  switch (kind) {
    case 'counter': {
      const counter = meter.createCounter(name, { unit, description })
      return (value, attributes) => counter.add(value, attributes)
    }
    case 'histogram': {
      const advice = { explicitBucketBoundaries: [...buckets] }
      const histogram = meter.createHistogram(name, { unit, description, advice })
      return (value, attributes) => histogram.record(value, attributes)
    }
    default:
      return undefined
  }
}

function meterRpcs(etcd: ObservedClient, meter: Meter, common: Attributes): () => void {
  const duration = meter.createHistogram('rpc.client.call.duration', {
    unit: 's',
    description: 'Duration of single attempts of calls',
    advice: { explicitBucketBoundaries: rpcBuckets },
  })
  return measureRpcs(etcd.stats().client, {
    started() {},
    sent() {},
    received() {},
    handled({ path, type, endpoint }, outcome, durationMs) {
      // Streams last as long as they are needed: their duration shows nothing about the members.
      if (type === 'bidi_stream') return
      const rpc = { 'rpc.system.name': 'grpc', 'rpc.method': path.slice(1), 'rpc.status_code': grpcCode(outcome) }
      duration.record(durationMs / 1000, defined({ ...common, ...rpc, ...meteredServer(endpoint) }))
    },
  })
}

/** Series differ by their attributes; undefined attributes are omitted. */
function defined(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}
