import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { MetricData } from '@opentelemetry/sdk-metrics'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import * as promClient from 'prom-client'
import { channels, type Etcd, type LeaseRecord, put } from '../../src/index.js'
import { instrument } from '../../src/otel/index.js'
import { expose } from '../../src/prometheus/index.js'
import { type EtcdCluster, poll } from '../../src/testing/index.js'
import { rootPassword } from '../support/auth.js'
import { recordsOf } from '../support/channels.js'
import { useCluster } from '../support/cluster.js'
import { proxyAt } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { startSdk } from '../support/telemetry.js'

/** Resets the connection that sends the next request about this key. */
function resetOnce(cluster: EtcdCluster, key: string, then: (other: number) => void = () => {}): void {
  let resets = 0
  for (const index of [0, 1]) {
    proxyAt(cluster, index).onData((bytes) => {
      if (!bytes.includes(key) || resets > 0) return undefined
      resets += 1
      then(1 - index)
      return 'reset'
    })
  }
}

/** The value of a series, by its name and a part of its labels. */
function seriesValue(text: string, name: string, ...labels: string[]): number | undefined {
  const line = text
    .split('\n')
    .find((each) => each.startsWith(`${name}{`) && labels.every((label) => each.includes(label)))
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1))
}

function attributesOf(metrics: readonly MetricData[], name: string): Record<string, unknown>[] {
  const found = metrics.find(({ descriptor }) => descriptor.name === name)
  return (found?.dataPoints ?? []).map(({ attributes }) => attributes)
}

describe('OpenTelemetry and Prometheus', () => {
  const cluster = useCluster({ members: 2, proxy: true, auth: { rootPassword } })

  function client(t: TestContext, name: string, namespace?: string): Etcd {
    const auth = { username: 'root', password: rootPassword }
    return createClient(t, cluster, { auth, namespace, diagnostics: { name, slowCallMs: 100 } })
  }

  async function ready(etcd: Etcd): Promise<void> {
    await poll('all are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
  }

  /** What a service may go through: calls, a lost connection, a slow member, a token that is refused, a batch, a watch, a lease. */
  async function work(t: TestContext, etcd: Etcd, prefix: string): Promise<void> {
    await etcd.put(`${prefix}a`, 'value')
    await etcd
      .txn()
      .then(put(`${prefix}b`, 'value'), put(`${prefix}c`, 'value'))
      .commit()
    await ready(etcd)
    resetOnce(cluster, `${prefix}a`, (other) => proxyAt(cluster, other).delay(120))
    await etcd.get(`${prefix}a`)
    for (const index of [0, 1]) proxyAt(cluster, index).heal()
    await assert.rejects(etcd.get(`${prefix}a`, { revision: 1e9 }), { code: 'FUTURE_REVISION' })
    await etcd.range({ prefix })
    const informer = etcd.informer({ prefix })
    t.after(() => informer.close())
    await informer.ready()
    let refused = false
    etcd.on('authenticated', ({ reason }) => {
      refused ||= reason === 'rejected'
    })
    // A member that was restarted has forgotten all tokens.
    await cluster.restart(0)
    await ready(etcd)
    await poll('its token was refused', async () => {
      await etcd.get(`${prefix}a`)
      return refused || undefined
    })
    await Promise.all(['a', 'b', 'c'].map((name) => etcd.get(`${prefix}${name}`)))
    await etcd.withLock(`${prefix}lock`, {}, () => {})
    const renewals = recordsOf<LeaseRecord>(t, channels.lease)
    await etcd.lease.grant(2)
    await poll('it is renewed', () => renewals[0])
  }

  test('report the same run with the right names and values', async (t) => {
    const sdk = startSdk(t)
    const registry = new promClient.Registry()
    const etcd = client(t, 'orders', 'app/')
    instrument(etcd, {
      tracerProvider: sdk.tracerProvider,
      meterProvider: sdk.meterProvider,
      attributes: { team: 'x' },
    })
    expose(etcd, { promClient: promClient, registry })
    await work(t, etcd, uniquePrefix())

    await t.test('as spans of calls by the database conventions, and of attempts by the RPC conventions', () => {
      const spans = sdk.spans()
      const named = (name: string): ReadableSpan[] => spans.filter((span) => span.name === name)
      const names = new Set(spans.map(({ name }) => name))
      for (const name of [
        'range app/',
        'put app/',
        'txn app/',
        'lease.grant app/',
        'watch.create app/',
        'lock.acquire app/',
        'auth.authenticate app/',
        'etcdserverpb.KV/Range',
        'etcdserverpb.KV/Put',
        'etcdserverpb.Auth/Authenticate',
        'etcdserverpb.Lease/LeaseGrant',
      ])
        assert.ok(names.has(name), `${name} is not among ${[...names].join(', ')}`)
      const [txn = assert.fail()] = named('txn app/')
      const { 'server.port': port, ...attributes } = txn.attributes
      assert.equal(txn.kind, SpanKind.CLIENT)
      assert.equal(attributes['db.system.name'], 'etcd')
      assert.equal(attributes['db.operation.name'], 'txn')
      assert.equal(attributes['db.namespace'], 'app/')
      assert.equal(attributes['db.operation.batch.size'], 2)
      assert.equal(attributes['server.address'], '127.0.0.1')
      assert.equal(attributes['network.peer.address'], '127.0.0.1')
      assert.equal(attributes.team, 'x')
      assert.equal(typeof port, 'number')
      const [put = assert.fail()] = named('put app/')
      assert.equal(put.attributes['db.operation.batch.size'], undefined)
      assert.ok(Number(put.attributes['etcd.time.auth_ms']) > 0, 'the first call waits for a token')
      assert.equal(txn.attributes['etcd.time.auth_ms'], 0)

      const failed = named('range app/').find(({ status }) => status.code === SpanStatusCode.ERROR) ?? assert.fail()
      assert.equal(failed.attributes['error.type'], 'FUTURE_REVISION')
      assert.equal(failed.attributes['db.response.status_code'], 'FUTURE_REVISION')

      const repeated = named('range app/').find(({ attributes }) => attributes['etcd.attempts'] === 2) ?? assert.fail()
      const attempts = spans.filter((span) => span.parentSpanContext?.spanId === repeated.spanContext().spanId)
      assert.deepEqual(
        attempts.map(({ name, attributes }) => [name, attributes['rpc.status_code'], attributes['etcd.reason']]),
        [
          ['etcdserverpb.KV/Range', 'UNAVAILABLE', 'first'],
          ['etcdserverpb.KV/Range', 'OK', 'CONNECTION_LOST'],
        ],
      )
      const batch = spans.filter((span) => span.attributes['db.operation.batch.size'] === 3)
      const linking = named('range app/').filter(({ links }) => links.length > 0)
      assert.deepEqual(
        linking.map(({ links }) => links[0]?.context.spanId),
        [batch[0]?.spanContext().spanId, batch[0]?.spanContext().spanId],
      )
      assert.ok(attempts.every(({ attributes }) => attributes['rpc.system.name'] === 'grpc'))
      assert.ok(attempts.every(({ attributes }) => attributes['rpc.method'] === 'etcdserverpb.KV/Range'))
      assert.ok(Number(repeated.attributes['etcd.time.wire_ms']) >= 100)
      const reasons = named('auth.authenticate app/').map(({ attributes }) => attributes['etcd.reason'])
      assert.deepEqual(reasons, ['first', 'rejected'])
    })

    await t.test("as metrics by the conventions, and under the client's own names", async () => {
      const metrics = await sdk.metrics()
      const byName = new Map(metrics.map((metric) => [metric.descriptor.name, metric]))
      for (const [name, unit] of conventionalMetrics) assert.equal(byName.get(name)?.descriptor.unit, unit, name)
      const operations = attributesOf(metrics, 'db.client.operation.duration')
      const ok = { 'etcd.client': 'orders', team: 'x', 'db.system.name': 'etcd', 'db.namespace': 'app/' }
      assert.ok(operations.some((each) => isDeepStrictEqual(each, { ...ok, 'db.operation.name': 'put' })))
      const failed = { ...ok, 'db.operation.name': 'range', 'error.type': 'FUTURE_REVISION' }
      assert.ok(
        operations.some((each) => isDeepStrictEqual(each, { ...failed, 'db.response.status_code': 'FUTURE_REVISION' })),
      )
      const rpcs = attributesOf(metrics, 'rpc.client.call.duration')
      assert.ok(
        rpcs.some(
          (each) => each['rpc.method'] === 'etcdserverpb.KV/Range' && each['rpc.status_code'] === 'UNAVAILABLE',
        ),
      )
      assert.ok(rpcs.every((each) => each['rpc.system.name'] === 'grpc'))
      const refreshes = attributesOf(metrics, 'etcd.auth.refreshes').map((each) => each['etcd.reason'])
      assert.deepEqual(refreshes.sort(), ['first', 'rejected'])
    })

    await t.test("as Prometheus series named like the Go client's, with the same numbers", async () => {
      const text = await registry.metrics()
      for (const name of goMetrics) assert.match(text, new RegExp(`^# TYPE ${name} `, 'm'))
      const range = ['grpc_service="etcdserverpb.KV"', 'grpc_method="Range"', 'grpc_type="unary"', 'client="orders"']
      const handled = (code: string): number =>
        seriesValue(text, 'grpc_client_handled_total', ...range, `grpc_code="${code}"`) ?? 0
      const started = seriesValue(text, 'grpc_client_started_total', ...range)
      assert.deepEqual([handled('Unavailable'), handled('OutOfRange')], [1, 1])
      assert.ok(handled('Unauthenticated') >= 1)
      assert.equal(handled('OK') + handled('Unavailable') + handled('OutOfRange') + handled('Unauthenticated'), started)
      assert.equal(seriesValue(text, 'grpc_client_msg_sent_total', ...range), started)
      assert.equal(seriesValue(text, 'grpc_client_msg_received_total', ...range), handled('OK'))
      const keepAlives = ['grpc_method="LeaseKeepAlive"', 'grpc_type="bidi_stream"']
      const renewals = seriesValue(text, 'grpc_client_msg_received_total', ...keepAlives) ?? 0
      assert.ok(renewals >= 1 && (seriesValue(text, 'grpc_client_msg_sent_total', ...keepAlives) ?? 0) >= renewals)
      assert.equal(seriesValue(text, 'grpc_client_handling_seconds_count', ...range), started)
      assert.equal(seriesValue(text, 'grpc_client_started_total', 'grpc_method="Watch"', 'grpc_type="bidi_stream"'), 2)
      assert.equal(seriesValue(text, 'etcd_retry_attempts_total', 'reason="CONNECTION_LOST"', 'name="range"'), 1)
      assert.equal(seriesValue(text, 'etcd_batch_size_count', 'name="range"'), 1)
      assert.equal(seriesValue(text, 'etcd_batch_size_sum', 'name="range"'), 3)
      assert.equal(seriesValue(text, 'etcd_auth_refreshes_total', 'reason="first"'), 1)
      assert.equal(seriesValue(text, 'etcd_auth_refreshes_total', 'reason="rejected"'), 1)
      assert.ok((seriesValue(text, 'etcd_call_slow_total', 'db_operation_name="range"') ?? 0) >= 1)
      assert.equal(seriesValue(text, 'etcd_endpoint_state', 'state="ready"'), 2)
      assert.equal(seriesValue(text, 'etcd_informer_size', 'range="prefix app/'), 3)
      assert.equal(seriesValue(text, 'etcd_lease_active'), 2)
      assert.equal(seriesValue(text, 'etcd_lock_wait_seconds_count'), 1)
      assert.equal(seriesValue(text, 'etcd_lock_held_seconds_count'), 1)
      assert.equal(seriesValue(text, 'etcd_lock_lost_total'), 0)
      assert.ok((seriesValue(text, 'etcd_lease_slack_seconds_count') ?? 0) >= 1)
    })

    await t.test('completely in both', async () => {
      const text = await registry.metrics()
      const inPrometheus = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
      const ours = (await sdk.metrics()).filter(({ descriptor }) => descriptor.name.startsWith('etcd.'))
      assert.ok(ours.length >= 12)
      for (const { descriptor } of ours) {
        const base = descriptor.name.replaceAll('.', '_') + (descriptor.unit === 's' ? '_seconds' : '')
        assert.ok(inPrometheus.has(base) || inPrometheus.has(`${base}_total`), base)
      }
    })
  })

  test('make spans children of the span that is active when a call is made', async (t) => {
    const sdk = startSdk(t)
    const etcd = client(t, 'traced')
    await etcd.connect()
    const stop = instrument(etcd, { tracerProvider: sdk.tracerProvider, meterProvider: sdk.meterProvider })
    const tracer = sdk.tracerProvider.getTracer('service')
    const inSpan = <Result>(name: string, run: () => Promise<Result>): Promise<Result> => {
      const span = tracer.startSpan(name)
      return context.with(trace.setSpan(context.active(), span), run).finally(() => span.end())
    }
    await Promise.all([
      inSpan('request 1', async () => {
        await etcd.put('one', 'value')
        await etcd.get('one')
      }),
      inSpan('request 2', () => etcd.get('two')),
    ])
    await etcd.get('three')
    const spans = sdk.spans()
    const parentOf = ({ parentSpanContext }: ReadableSpan): string | undefined =>
      spans.find((span) => span.spanContext().spanId === parentSpanContext?.spanId)?.name
    const calls = spans.filter(({ attributes }) => attributes['etcd.key'] !== undefined)
    const exported = calls.map((span) => `${span.attributes['etcd.key']} ${span.name} ${parentOf(span)}`)
    assert.deepEqual(exported.sort(), [
      'one put request 1',
      'one range request 1',
      'three range undefined',
      'two range request 2',
    ])
    const attempts = spans.filter(({ name }) => name.startsWith('etcdserverpb.KV/'))
    assert.deepEqual(new Set(attempts.map(parentOf)), new Set(['put', 'range']))
    for (const { startTime, endTime } of attempts) assert.ok(endTime[0] > startTime[0] || endTime[1] > startTime[1])
    stop()
    await etcd.get('four')
    assert.equal(sdk.spans().length, spans.length)
  })

  test('do not report an abort as an error, and omit attempts on demand', async (t) => {
    const sdk = startSdk(t)
    const etcd = client(t, 'aborted')
    await etcd.get('key')
    instrument(etcd, { tracerProvider: sdk.tracerProvider, meterProvider: sdk.meterProvider, attempts: false })
    await assert.rejects(etcd.get('key', { signal: AbortSignal.abort(new Error('gone')) }))
    const [span = assert.fail(), ...others] = sdk.spans()
    assert.deepEqual([others, span.attributes['error.type'], span.status.code], [[], 'aborted', SpanStatusCode.UNSET])
  })

  test('export several clients in one registry, each until it is closed', async (t) => {
    const registry = new promClient.Registry()
    const [a, b, sameName] = [client(t, 'a'), client(t, 'b'), client(t, 'b')]
    const bystander = client(t, 'bystander')
    for (const etcd of [a, b, sameName]) expose(etcd, { promClient: promClient, registry })
    for (const etcd of [a, b, sameName, bystander]) await etcd.get('key')
    const gets = async (name: string): Promise<number | undefined> =>
      seriesValue(
        await registry.metrics(),
        'db_client_operation_duration_seconds_count',
        `client="${name}"`,
        'name="range"',
      )
    assert.deepEqual([await gets('a'), await gets('b'), await gets('bystander')], [1, 2, undefined])
    assert.equal(seriesValue(await registry.metrics(), 'etcd_endpoint_state', 'client="b"', 'state="ready"'), 4)
    await a.close()
    assert.deepEqual([await gets('a'), await gets('b')], [undefined, 2])
    await b.close()
    assert.deepEqual([await gets('a'), await gets('b')], [undefined, 2])
    const again = client(t, 'a')
    expose(again, { promClient: promClient, registry })
    await again.get('key')
    assert.equal(await gets('a'), 1)
    await Promise.all([again.close(), sameName.close()])
    assert.equal((await registry.metrics()).trim(), '')
    assert.deepEqual(registry.getMetricsAsArray(), [])
  })

  test('reject wrong arguments', (t) => {
    const etcd = client(t, 'wrong')
    const call =
      (run: (...args: never[]) => unknown, ...args: unknown[]) =>
      () =>
        run(...(args as never[]))
    assert.throws(call(expose, etcd, {}), /`promClient` must be the package prom-client, got undefined/)
    assert.throws(call(expose, {}, { promClient }), /expose\(\) takes a client/)
    assert.throws(call(expose, etcd, { promClient, registrry: 1 }), /registry/)
    assert.throws(call(instrument, undefined), /instrument\(\) takes a client, got undefined/)
    assert.throws(call(instrument, etcd, { tracer: 1 }), /tracerProvider/)
  })
})

/** The metrics of OpenTelemetry's conventions, and ours, with their units. */
const conventionalMetrics: readonly (readonly [name: string, unit: string])[] = [
  ['db.client.operation.duration', 's'],
  ['db.client.response.returned_rows', '{row}'],
  ['db.client.connection.count', '{connection}'],
  ['rpc.client.call.duration', 's'],
  ['etcd.watch.lag', '{revision}'],
  ['etcd.informer.size', '{key}'],
  ['etcd.informer.queue', '{change}'],
  ['etcd.lease.active', '{lease}'],
  ['etcd.lease.keepalive.latency', 's'],
  ['etcd.lock.wait', 's'],
  ['etcd.lock.held', 's'],
  ['etcd.auth.refreshes', '{token}'],
  ['etcd.batch.size', '{call}'],
  ['etcd.retry.attempts', '{attempt}'],
  ['etcd.retry.throttled', '{attempt}'],
  ['etcd.endpoint.state', '{endpoint}'],
  ['etcd.endpoint.latency', 's'],
]

const goMetrics = [
  'grpc_client_started_total',
  'grpc_client_handled_total',
  'grpc_client_msg_received_total',
  'grpc_client_msg_sent_total',
  'grpc_client_handling_seconds',
]
