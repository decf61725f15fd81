import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { MeterProvider } from '@opentelemetry/api'
import * as promClient from 'prom-client'
import { instrument } from '../../src/otel/index.js'
import { expose } from '../../src/prometheus/index.js'
import type { ClientStats, ObservedClient } from '../../src/telemetry/client-stats.js'
import { startSdk } from '../support/telemetry.js'

/** What a client has, as far as it differs between those of a test. */
interface Has {
  readonly name?: string
  readonly leases: number
  readonly throttled: number
  readonly latencyMs: number
  readonly lag: number
  readonly pending: number
}

const first: Has = { leases: 3, throttled: 5, latencyMs: 4, lag: 7, pending: 2 }
const second: Has = { leases: 1, throttled: 2, latencyMs: 6, lag: 3, pending: 9 }
const third: Has = { leases: 2, throttled: 0, latencyMs: 5, lag: 1, pending: 0 }
const other: Has = { name: 'other', leases: 10, throttled: 20, latencyMs: 100, lag: 30, pending: 40 }

let ids = 1_000_000

/** A client that says always the same of itself. */
function clientThat({ name = 'etcd', leases, throttled, latencyMs, lag, pending }: Has): ObservedClient {
  const watch = {
    range: 'prefix',
    keyText: 'app/',
    state: 'open',
    endpoint: 'a:1',
    revision: 100,
    reconnects: 0,
  } as const
  const stats: ClientStats = {
    client: { id: ids++, name, namespace: undefined },
    cluster: { id: 'c1', followed: undefined },
    revision: 100,
    endpoints: [{ endpoint: 'a:1', state: 'ready', latencyMs, inFlight: 0 }],
    watches: [{ ...watch, lag, buffered: 0 }],
    informers: [
      { ...watch, revision: 100 - lag, size: leases, resyncs: 0, handlers: [{ queued: pending, overflows: 0 }] },
      { ...watch, revision: 100, size: 1, resyncs: 0, handlers: [] },
    ],
    leases,
    throttled,
    writes: { limit: Number.POSITIVE_INFINITY, inFlight: 0, queued: 0 },
  }
  return { stats: () => stats, on: () => () => {} }
}

const shown = [
  'etcd.lease.active',
  'etcd.retry.throttled',
  'etcd.endpoint.state',
  'db.client.connection.count',
  'etcd.informer.size',
  'etcd.endpoint.latency',
  'etcd.watch.lag',
  'etcd.informer.lag',
  'etcd.informer.queue',
] as const

/** What is right for the first two, and then for all three. */
const ofTwo = [4, 7, 2, 2, 3 + 1 + 1 + 1, 0.006, 7, 7, 9]
const ofAll = [6, 7, 3, 3, 3 + 1 + 2 + 1 + 1 + 1, 0.006, 7, 7, 9]
const ofOther = [10, 20, 1, 1, 10 + 1, 0.1, 30, 30, 40]

describe('The observed metrics of clients with the same name', () => {
  type Series = { readonly attributes: Readonly<Record<string, unknown>>; readonly value: unknown }

  /** The one series of this client with something in it, of each metric. */
  function valuesOf(name: string, label: string, series: (metric: string) => readonly Series[]): unknown[] {
    return shown.map((metric) => {
      const found = series(metric).filter(({ attributes, value }) => attributes[label] === name && value !== 0)
      return found.length === 1 ? found[0]?.value : found.map(({ value }) => value)
    })
  }

  async function inOtel(sdk: { metrics: ReturnType<typeof startSdk>['metrics'] }, name: string): Promise<unknown[]> {
    const metrics = await sdk.metrics()
    return valuesOf(
      name,
      'etcd.client',
      (metric) => metrics.find(({ descriptor }) => descriptor.name === metric)?.dataPoints ?? [],
    )
  }

  test('are one series in OpenTelemetry: sums, and the maximum of latencies, lags and queues', async (t) => {
    const sdk = startSdk(t)
    const [a, b, c, d] = [first, second, third, other].map((has) => instrumented(t, has, sdk.meterProvider))
    assert.deepEqual([await inOtel(sdk, 'etcd'), await inOtel(sdk, 'other')], [ofAll, ofOther])
    c?.()
    c?.()
    assert.deepEqual([await inOtel(sdk, 'etcd'), await inOtel(sdk, 'other')], [ofTwo, ofOther])
    for (const stop of [a, b, d]) stop?.()
  })

  test('are observed by a meter while there is a client, with instruments that are created once', (t) => {
    const sdk = startSdk(t)
    const meter = sdk.meterProvider.getMeter('etcdkit')
    const gauges = t.mock.method(meter, 'createObservableGauge')
    const added = t.mock.method(meter, 'addBatchObservableCallback')
    const removed = t.mock.method(meter, 'removeBatchObservableCallback')
    const counts = (): number[] => [gauges, added, removed].map(({ mock }) => mock.callCount())
    const stops = [first, second].map((has) => instrumented(t, has, sdk.meterProvider))
    const [made = 0] = counts()
    assert.deepEqual(counts(), [made, 1, 0])
    stops[0]?.()
    assert.deepEqual(counts(), [made, 1, 0])
    stops[1]?.()
    assert.deepEqual(counts(), [made, 1, 1])
    assert.deepEqual(removed.mock.calls[0]?.arguments, added.mock.calls[0]?.arguments)
    instrumented(t, third, sdk.meterProvider)()
    assert.deepEqual(counts(), [made, 2, 2])
  })

  test('are separate series in OpenTelemetry if the attributes differ', async (t) => {
    const sdk = startSdk(t)
    for (const [has, team] of [
      [first, 'x'],
      [second, 'y'],
    ] as const)
      t.after(instrument(clientThat(has), { meterProvider: sdk.meterProvider, attributes: { team } }))
    const metrics = await sdk.metrics()
    const leases = metrics.find(({ descriptor }) => descriptor.name === 'etcd.lease.active')?.dataPoints ?? []
    assert.deepEqual(
      leases.map(({ attributes, value }) => [attributes.team, value]),
      [
        ['x', 3],
        ['y', 1],
      ],
    )
  })

  test('are one series in Prometheus: sums, and the maximum of latencies, lags and queues', async () => {
    const registry = new promClient.Registry()
    const stops = [first, second, third, other].map((has) =>
      expose(clientThat(has), { promClient: promClient, registry }),
    )
    const values = async (name: string): Promise<unknown[]> => {
      const metrics = await registry.getMetricsAsJSON()
      return valuesOf(name, 'client', (metric) => {
        const base = metric.replaceAll('.', '_')
        const found = metrics.find(({ name }) => [base, `${base}_seconds`, `${base}_total`].includes(name))
        return (found?.values ?? []).map(({ labels, value }) => ({ attributes: labels, value }))
      })
    }
    assert.deepEqual([await values('etcd'), await values('other')], [ofAll, ofOther])
    stops[2]?.()
    assert.deepEqual([await values('etcd'), await values('other')], [ofTwo, ofOther])
    for (const stop of stops) stop()
    assert.deepEqual(registry.getMetricsAsArray(), [])
  })
})

describe('A registry in which a name is in use', () => {
  test('is unchanged when expose() fails, so that expose() succeeds once the name is free', () => {
    const registry = new promClient.Registry()
    const name = 'etcd_lock_lost_total'
    const foreign = new promClient.Counter({ name, help: 'of somebody else', registers: [registry] })
    const etcd = clientThat(first)
    assert.throws(() => expose(etcd, { promClient: promClient, registry }), /etcd_lock_lost_total/)
    assert.deepEqual(registry.getMetricsAsArray(), [foreign])
    assert.throws(() => expose(etcd, { promClient: promClient, registry }), /etcd_lock_lost_total/)
    registry.removeSingleMetric(name)
    const stop = expose(etcd, { promClient: promClient, registry })
    assert.ok(registry.getMetricsAsArray().length > 20)
    registry.clear()
    registry.registerMetric(foreign)
    stop()
    assert.deepEqual(registry.getMetricsAsArray(), [foreign])
  })
})

/** Returns what ends it, which the end of the test does as well. */
function instrumented(t: TestContext, has: Has, meterProvider: MeterProvider): () => void {
  const stop = instrument(clientThat(has), { meterProvider })
  t.after(stop)
  return stop
}
