import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { channels, tracing } from '../../src/telemetry/channels.js'
import { measure, measureRpcs, readings } from '../../src/telemetry/measure.js'
import { metricDefinition, metricNames } from '../../src/telemetry/metric-definitions.js'
import { goCode, grpcCode, operationName } from '../../src/telemetry/rpc-names.js'

const client = { id: -1, name: 'app', namespace: 'ns/' }
const ok = { ok: true } as const
const aborted = { ok: false, aborted: true } as const
const operation = { 'db.system.name': 'etcd', 'db.namespace': 'ns/' }

function failure(code: string, grpcCode?: number) {
  const error = Object.assign(new EtcdError('failed', { code: code as 'CLOSED', effect: 'none' }), { grpcCode })
  return { ok: false, aborted: false, code: code as 'CLOSED', effect: 'none', error } as const
}

/** What is measured while `publish` runs; undefined attributes are left out. */
function measured(t: TestContext, publish: () => void): unknown[] {
  const all: unknown[] = []
  t.after(
    measure(client, (name, value, attributes) => {
      all.push([name, value, JSON.parse(JSON.stringify(attributes))])
    }),
  )
  publish()
  return all
}

describe('The measurements of a client', () => {
  test('of calls and attempts are durations in seconds, keys, retries and batches', (t) => {
    const attempt = { client, method: 'KV.Txn', batch: undefined, outcome: ok }
    const call = { client, durationMs: 250, responseKeys: 3 }
    const all = measured(t, () => {
      channels.call.publish({ ...call, method: 'KV.Range', outcome: ok })
      channels.call.publish({ ...call, method: 'KV.DeleteRange', outcome: failure('NO_LEADER') })
      channels.call.publish({ ...call, method: 'Lease.LeaseGrant', outcome: aborted })
      channels.call.publish({ ...call, method: 'KV.DeleteRange', outcome: ok })
      channels.slow.publish({ ...call, method: 'KV.Put' })
      channels.attempt.publish({ ...attempt, reason: 'first' })
      channels.attempt.publish({ ...attempt, reason: 'NO_LEADER', batch: { method: 'KV.Put', calls: 4 } })
      channels.call.publish({ ...call, client: { ...client }, method: 'KV.Range', outcome: ok })
    })
    const duration = (name: string, more = {}) => [
      'db.client.operation.duration',
      0.25,
      { ...operation, 'db.operation.name': name, ...more },
    ]
    const rows = (name: string) => ['db.client.response.returned_rows', 3, { ...operation, 'db.operation.name': name }]
    assert.deepEqual(all, [
      duration('range'),
      rows('range'),
      duration('deleteRange', { 'db.response.status_code': 'NO_LEADER', 'error.type': 'NO_LEADER' }),
      duration('lease.grant', { 'error.type': 'aborted' }),
      duration('deleteRange'),
      rows('deleteRange'),
      ['etcd.call.slow', 1, { 'db.operation.name': 'put' }],
      ['etcd.batch.size', 4, { 'db.operation.name': 'put' }],
      ['etcd.retry.attempts', 1, { 'db.operation.name': 'txn', 'etcd.reason': 'NO_LEADER' }],
    ])
  })

  test('of tokens, watches, informers, leases and locks count what happened, and time it in seconds', (t) => {
    const all = measured(t, () => {
      channels.authenticate.publish({ client, reason: 'first', outcome: ok })
      channels.authenticate.publish({ client, reason: 'rejected', outcome: failure('AUTH_FAILED') })
      for (const type of ['opened', 'lost', 'lost', 'resumed', 'ended']) channels.watch.publish({ client, type })
      const informer = { client, range: 'prefix', keyText: 'a/' }
      channels.informer.publish({ ...informer, type: 'ready' })
      channels.informer.publish({ ...informer, type: 'resync', reason: 'COMPACTED' })
      channels.informer.publish({ ...informer, keyText: undefined, type: 'resync', reason: 'COMPACTED' })
      channels.lease.publish({ client, type: 'lost', reason: 'expired' })
      channels.lease.publish({ client, type: 'keepAliveLost' })
      channels.lease.publish({ client, type: 'renewed', durationMs: 20, slackMs: 3000 })
      channels.lock.publish({ client, type: 'granted', kind: 'lock', durationMs: 500, outcome: ok })
      channels.lock.publish({ client, type: 'refused', kind: 'read', durationMs: 500, outcome: aborted })
      channels.lock.publish({ client, type: 'released', kind: 'write', heldMs: 1500 })
      channels.lock.publish({ client, type: 'lost', kind: 'election', heldMs: 2500 })
    })
    assert.deepEqual(all, [
      ['etcd.auth.refreshes', 1, { 'etcd.reason': 'first' }],
      ['etcd.auth.refreshes', 1, { 'etcd.reason': 'rejected', 'error.type': 'AUTH_FAILED' }],
      ['etcd.watch.reconnects', 1, {}],
      ['etcd.watch.reconnects', 1, {}],
      ['etcd.informer.resyncs', 1, { 'etcd.range': 'prefix a/', 'etcd.reason': 'COMPACTED' }],
      ['etcd.informer.resyncs', 1, { 'etcd.range': 'prefix', 'etcd.reason': 'COMPACTED' }],
      ['etcd.lease.expired', 1, { 'etcd.reason': 'expired' }],
      ['etcd.lease.keepalive.latency', 0.02, {}],
      ['etcd.lease.slack', 3, {}],
      ['etcd.lock.wait', 0.5, { 'etcd.lock.kind': 'lock' }],
      ['etcd.lock.wait', 0.5, { 'etcd.lock.kind': 'read', 'error.type': 'aborted' }],
      ['etcd.lock.held', 1.5, { 'etcd.lock.kind': 'write' }],
      ['etcd.lock.lost', 1, {}],
      ['etcd.lock.held', 2.5, { 'etcd.lock.kind': 'election' }],
    ])
  })

  test('have the attributes that their metric is defined with, and no other', (t) => {
    const all = measured(t, () => {
      channels.lock.publish({ client, type: 'lost', kind: 'lock', heldMs: 1 })
      channels.lease.publish({ client, type: 'lost', reason: 'expired' })
      channels.call.publish({ client, method: 'KV.Range', durationMs: 1, responseKeys: 1, outcome: failure('CLOSED') })
    }) as [(typeof metricNames)[number], number, object][]
    for (const [name, , attributes] of all) {
      const known = metricDefinition(name).attributes
      assert.ok(
        Object.keys(attributes).every((attribute) => known.includes(attribute)),
        name,
      )
    }
    for (const name of metricNames) {
      const { kind, buckets, unit } = metricDefinition(name)
      assert.equal(buckets !== undefined, kind === 'histogram', name)
      assert.match(unit, /^(s|\{[a-z]+\})$/, name)
    }
  })

  test('of RPCs count what was sent, received and handled, without the wait for a connection', (t) => {
    const all: unknown[] = []
    const take = (name: string) => (rpc: { path: string; type: string }, outcome?: object, durationMs?: number) => {
      all.push([name, rpc.path, rpc.type, ...(outcome === undefined ? [] : [outcome, durationMs])])
    }
    t.after(
      measureRpcs(client, {
        started: take('started'),
        sent: take('sent'),
        received: take('received'),
        handled: take('handled'),
      }),
    )
    const attempt = { client, path: '/s/A', durationMs: 50, connectMs: 20 }
    tracing.attempt.start.publish(attempt)
    channels.attempt.publish({ ...attempt, endpoint: 'm', outcome: ok })
    channels.attempt.publish({ ...attempt, endpoint: undefined, outcome: aborted })
    channels.attempt.publish({ ...attempt, endpoint: 'm', outcome: aborted })
    for (const method of ['Watch.Watch', 'Lease.LeaseKeepAlive', 'Maintenance.Snapshot']) {
      channels.stream.publish({ client, path: '/s/B', endpoint: 'm', method, type: 'opened' })
    }
    const stream = { client, path: '/s/C', endpoint: 'm', method: 'Watch.Watch' }
    channels.stream.publish({ ...stream, type: 'sent' })
    channels.stream.publish({ ...stream, type: 'received' })
    channels.stream.publish({ ...stream, type: 'ended', outcome: aborted, durationMs: 9 })
    assert.deepEqual(all, [
      ['started', '/s/A', 'unary'],
      ['sent', '/s/A', 'unary'],
      ['received', '/s/A', 'unary'],
      ['handled', '/s/A', 'unary', ok, 30],
      ['handled', '/s/A', 'unary', aborted, 30],
      ['sent', '/s/A', 'unary'],
      ['handled', '/s/A', 'unary', aborted, 30],
      ['started', '/s/B', 'bidi_stream'],
      ['started', '/s/B', 'bidi_stream'],
      ['started', '/s/B', 'server_stream'],
      ['sent', '/s/C', 'bidi_stream'],
      ['received', '/s/C', 'bidi_stream'],
      ['handled', '/s/C', 'bidi_stream', aborted, 9],
    ])
  })
})

describe('The readings of a client', () => {
  test('are the connections that are open, and what is behind, never ahead', () => {
    const endpoint = { endpoint: 'm', latencyMs: undefined, inFlight: 0 }
    const informer = { range: 'all', keyText: undefined, state: 'ready', endpoint: 'm', size: 2, resyncs: 0 } as const
    const handlers = [3, 5].map((queued) => ({ queued, overflows: 0 }))
    const all = readings({
      client,
      cluster: { id: 'c', followed: undefined },
      revision: 10,
      endpoints: [
        { ...endpoint, state: 'ready', inFlight: 2, latencyMs: 4 },
        ...(['ready', 'ejected', 'probing', 'idle', 'connecting', 'closed'] as const).map((state) => ({
          ...endpoint,
          state,
        })),
      ],
      watches: [],
      informers: [{ ...informer, revision: 12, reconnects: 0, handlers }],
      leases: 1,
      throttled: 2,
      writes: { limit: undefined, inFlight: 0, queued: 0 },
    })
    const of = (name: string): unknown[] => all.filter((each) => each.name === name).map(({ value }) => value)
    assert.deepEqual(of('db.client.connection.count'), [1, 3])
    assert.deepEqual(of('etcd.endpoint.state'), [2, 1, 1, 1, 1, 1])
    assert.deepEqual(of('etcd.endpoint.latency'), [0.004])
    assert.deepEqual([of('etcd.informer.lag'), of('etcd.informer.queue'), of('etcd.watch.lag')], [[0], [5], [0]])
  })
})

describe('The names of RPCs and statuses', () => {
  test("follow etcd's documentation, Go, and the specification of gRPC", () => {
    const methods = ['KV.DeleteRange', 'Lease.LeaseGrant', 'Lease.LeaseKeepAlive', 'Auth.UserAdd', 'Maintenance.Status']
    assert.deepEqual(methods.map(operationName), [
      'deleteRange',
      'lease.grant',
      'lease.keepAlive',
      'auth.userAdd',
      'maintenance.status',
    ])
    const outcomes = [
      ok,
      aborted,
      failure('CLOSED'),
      failure('DEADLINE_EXCEEDED'),
      failure('NOT_CONNECTED'),
      failure('CONNECTION_LOST'),
      failure('DECODE_FAILED'),
      failure('FUTURE_REVISION', 11),
    ]
    assert.deepEqual(
      outcomes.map((outcome) => `${goCode(outcome)} ${grpcCode(outcome)}`),
      [
        'OK OK',
        'Canceled CANCELLED',
        'Canceled CANCELLED',
        'DeadlineExceeded DEADLINE_EXCEEDED',
        'Unavailable UNAVAILABLE',
        'Unavailable UNAVAILABLE',
        'Unknown UNKNOWN',
        'OutOfRange OUT_OF_RANGE',
      ],
    )
  })
})
