import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { context, type Span, SpanKind, SpanStatusCode, type TracerProvider, trace } from '@opentelemetry/api'
import type { Histogram } from '@opentelemetry/sdk-metrics'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import * as promClient from 'prom-client'
import { EtcdError } from '../../src/core/errors.js'
import { meteredServer, serverAttributes } from '../../src/otel/attributes.js'
import { instrument } from '../../src/otel/index.js'
import { expose } from '../../src/prometheus/index.js'
import { channels, tracing } from '../../src/telemetry/channels.js'
import type { ClientStats, ObservedClient } from '../../src/telemetry/client-stats.js'
import { startSdk } from '../support/telemetry.js'

const error = new EtcdError('gone', { code: 'CONNECTION_LOST', effect: 'none' })
const failed = { ok: false, aborted: false, code: 'CONNECTION_LOST', effect: 'none', error }
const request = { range: 'key', keyText: 'k', operations: 1 }

/** A client without a cluster, whose `close()` is to be called. */
function fakeClient(name = 'app') {
  const stats = { client: { id: -1, name, namespace: 'ns/' }, revision: 0, endpoints: [], watches: [], informers: [] }
  let onClosed = (): void => {}
  const observed: ObservedClient = {
    stats: () => ({ ...stats, leases: 0, throttled: 0 }) as unknown as ClientStats,
    on: (_, listener) => {
      onClosed = listener
      return () => {
        onClosed = () => {}
      }
    },
  }
  return { observed, client: stats.client, close: () => onClosed() }
}

describe('The spans of a client', () => {
  function instrumented(t: TestContext) {
    const sdk = startSdk(t)
    const fake = fakeClient()
    const { tracerProvider, meterProvider } = sdk
    const stop = instrument(fake.observed, { tracerProvider, meterProvider, attributes: { team: 'x' } })
    t.after(stop)
    return { ...fake, sdk, stop }
  }

  const idOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().spanId

  test('are children of the active span, attempts of their call, and calls of a batch link its attempts', (t) => {
    const { client, sdk } = instrumented(t)
    const active = sdk.tracerProvider.getTracer('service').startSpan('request')
    const [call, joined] = [8, 9].map((callId) => ({ client, callId, method: 'KV.Range', request }))
    const attempt = { client, callId: 8, path: '/etcdserverpb.KV/Txn', attempt: 1, reason: 'first', operations: 2 }
    context.with(trace.setSpan(context.active(), active), () => {
      tracing.call.start.publish(call)
      tracing.call.start.publish(joined)
      tracing.attempt.start.publish(attempt)
    })
    tracing.attempt.asyncEnd.publish(Object.assign(attempt, { endpoint: 'http://m:1', outcome: failed }))
    for (const each of [call, joined]) {
      tracing.call.asyncEnd.publish(Object.assign(each ?? {}, { attemptRecords: [attempt], outcome: failed }))
    }
    tracing.call.asyncEnd.publish(call)
    const late = { ...attempt }
    tracing.attempt.start.publish(late)
    tracing.attempt.asyncEnd.publish(late)
    const [attempted, first, second, ...others] = sdk.spans()
    assert.deepEqual(
      others.map(({ parentSpanContext }) => parentSpanContext),
      [undefined],
      'a call that has ended is kept for no later attempt',
    )
    assert.deepEqual(
      [attempted, first, second].map((span) => span?.parentSpanContext?.spanId),
      [idOf(first), active.spanContext().spanId, active.spanContext().spanId],
    )
    assert.deepEqual(
      [attempted, first, second].map((span) => span?.links.map((link) => link.context.spanId)),
      [[], [], [idOf(attempted)]],
    )
    assert.deepEqual(attempted?.status, { code: SpanStatusCode.ERROR, message: error.message })
    assert.equal(first?.kind, SpanKind.CLIENT)
    assert.deepEqual([first?.name, first?.attributes.team, first?.attributes['etcd.key']], ['range ns/', 'x', 'k'])
    assert.equal(first?.attributes['error.type'], 'CONNECTION_LOST')
  })

  test('have no error after an abort, and the keys that were read or deleted', (t) => {
    const { client, sdk } = instrumented(t)
    for (const [callId, method, outcome] of [
      [1, 'KV.Range', { ok: false, aborted: true }],
      [2, 'KV.DeleteRange', { ok: true }],
      [3, 'KV.Put', { ok: true }],
    ] as const) {
      const call = { client, callId, method, request }
      tracing.call.start.publish(call)
      tracing.call.asyncEnd.publish(Object.assign(call, { attemptRecords: [], responseKeys: 4, outcome }))
    }
    assert.deepEqual(
      sdk
        .spans()
        .map(({ status, attributes }) => [
          status.code,
          attributes['error.type'],
          attributes['db.response.returned_rows'],
        ]),
      [
        [SpanStatusCode.UNSET, 'aborted', undefined],
        [SpanStatusCode.UNSET, undefined, 4],
        [SpanStatusCode.UNSET, undefined, undefined],
      ],
    )
  })

  test('are made beside measurements of attempts and short streams, not of those that last', async (t) => {
    const { client, sdk } = instrumented(t)
    const stream = { client, path: '/s/M', endpoint: 'http://m:1', type: 'ended', durationMs: 5, outcome: failed }
    for (const method of ['Watch.Watch', 'Lease.LeaseKeepAlive', 'Maintenance.Snapshot']) {
      channels.stream.publish({ ...stream, method, path: `/s/${method}` })
    }
    const metrics = await sdk.metrics()
    const found = metrics.find(({ descriptor }) => descriptor.name === 'rpc.client.call.duration')
    assert.equal((found?.dataPoints[0]?.value as Histogram | undefined)?.sum, 0.005)
    assert.deepEqual(
      found?.dataPoints.map(({ attributes }) => attributes),
      [
        {
          'etcd.client': 'app',
          team: 'x',
          'rpc.system.name': 'grpc',
          'rpc.method': 's/Maintenance.Snapshot',
          'rpc.status_code': 'UNAVAILABLE',
          'server.address': 'm',
          'server.port': 1,
        },
      ],
    )
  })

  test('that are open when the client is closed end with it, and no other is made', (t) => {
    const { client, close, sdk } = instrumented(t)
    const call = { client, callId: 8, method: 'KV.Range', request }
    const lock = { client, kind: 'lock', name: 'l' }
    tracing.call.start.publish(call)
    tracing.lock.start.publish(lock)
    tracing.lock.start.publish({ ...lock, client: { ...client } })
    close()
    assert.deepEqual(
      sdk.spans().map(({ name }) => name),
      ['range ns/', 'lock.acquire ns/'],
    )
    tracing.call.start.publish({ ...call })
    assert.ok(!tracing.call.hasSubscribers && !tracing.lock.hasSubscribers && !channels.call.hasSubscribers)
    assert.equal(sdk.spans().length, 2)
  })

  test('are ended once', (t) => {
    let ends = 0
    const span = { setAttributes() {}, end: () => (ends += 1) } as unknown as Span
    const tracerProvider = { getTracer: () => ({ startSpan: () => span }) } as unknown as TracerProvider
    const { observed, client, close } = fakeClient()
    t.after(instrument(observed, { tracerProvider }))
    const call = { client, callId: 8, method: 'KV.Put', request }
    tracing.call.start.publish(call)
    tracing.call.asyncEnd.publish(Object.assign(call, { attemptRecords: [], outcome: { ok: true } }))
    close()
    assert.equal(ends, 1)
  })

  test('name the member as it was given, with its port unless that is the one of etcd', () => {
    const server = (endpoint: string): unknown[] => Object.values(meteredServer(endpoint))
    assert.deepEqual(server('http://etcd-0:2379'), ['etcd-0', undefined])
    assert.deepEqual(server('https://etcd.example.com:443'), ['etcd.example.com', 443])
    assert.deepEqual(server('http://etcd:80'), ['etcd', 80])
    assert.deepEqual(serverAttributes('http://[::1]:2380'), {
      'server.address': '::1',
      'server.port': 2380,
      'network.peer.address': '::1',
    })
    assert.deepEqual(serverAttributes('unixs:/run/etcd'), {
      'server.address': '/run/etcd',
      'network.transport': 'unix',
    })
    assert.deepEqual(serverAttributes(undefined), {})
  })
})

describe('The series of a client', () => {
  const call = { method: 'KV.Range', durationMs: 0.5, responseKeys: 1, outcome: { ok: true } }

  test('exist from the start, have its labels, escaped, and are removed with it alone', async () => {
    const registry = new promClient.Registry()
    const [app, other] = [fakeClient('a "b"\n'), fakeClient('other')]
    const lines = async (): Promise<string[]> =>
      (await registry.metrics())
        .split('\n')
        .filter((line) => /^etcd_lock_lost_total|seconds_bucket.*le="0.001"/.test(line))
    expose(app.observed, { promClient, registry })
    const stop = expose(other.observed, { promClient, registry })
    const labels = 'client="a \\"b\\"\\n"'
    assert.deepEqual(await lines(), [`etcd_lock_lost_total{${labels}} 0`, 'etcd_lock_lost_total{client="other"} 0'])
    channels.call.publish({ ...call, client: app.client })
    assert.deepEqual(
      (await lines())[0],
      `db_client_operation_duration_seconds_bucket{le="0.001",${labels},db_system_name="etcd",db_operation_name="range",db_namespace="ns/"} 1`,
    )
    app.close()
    assert.deepEqual(await lines(), ['etcd_lock_lost_total{client="other"} 0'])
    stop()
    stop()
    assert.deepEqual(registry.getMetricsAsArray(), [])
    assert.equal(channels.call.hasSubscribers, false)
  })

  test('have the prefix of the registration, beside those without one', async () => {
    const registry = new promClient.Registry()
    const app = fakeClient()
    const stops = ['', 'x_'].map((prefix) => expose(app.observed, { promClient, registry, prefix }))
    stops[0]?.()
    const names = registry.getMetricsAsArray().map(({ name }) => name)
    const wrong = { promClient, registry, prefix: '1_' }
    assert.throws(() => expose(app.observed, wrong), /`prefix` must be the start of a metric name/)
    assert.ok(names.length > 20 && names.every((name) => name.startsWith('x_')))
    stops[1]?.()
    assert.deepEqual(registry.getMetricsAsArray(), [])
  })

  test('of RPCs have the names, labels and codes of Go clients', async () => {
    const registry = new promClient.Registry()
    const app = fakeClient()
    const stop = expose(app.observed, { promClient, registry })
    const attempt = { client: app.client, path: '/etcdserverpb.KV/Range', durationMs: 30, connectMs: 10 }
    tracing.attempt.start.publish(attempt)
    channels.attempt.publish({ ...attempt, method: 'KV.Range', reason: 'first', endpoint: 'm', outcome: failed })
    channels.authenticate.publish({ client: app.client, reason: 'first', outcome: failed })
    const text = await registry.metrics()
    const labels = 'client="app",grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"'
    for (const line of [
      `grpc_client_started_total{${labels}} 1`,
      `grpc_client_msg_sent_total{${labels}} 1`,
      `grpc_client_handled_total{${labels},grpc_code="Unavailable"} 1`,
      `grpc_client_handling_seconds_sum{${labels}} 0.02`,
      'etcd_auth_refreshes_total{client="app",reason="first",error_type="CONNECTION_LOST"} 1',
      'etcd_retry_throttled_total{client="app"} 0',
    ]) {
      assert.ok(text.includes(`${line}\n`), `${line} is not in ${text}`)
    }
    assert.ok(!text.includes('grpc_client_msg_received_total{'))
    stop()
  })
})
