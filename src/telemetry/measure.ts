import type { Channel } from 'node:diagnostics_channel'
import { channels, tracing } from './channels.js'
import type { ClientStats, StatsRange } from './client-stats.js'
import type { MetricName } from './metric-definitions.js'
import type {
  AttemptRecord,
  AttemptStart,
  AuthenticateRecord,
  CallOutcome,
  CallRecord,
  ClientIdentity,
  InformerRecord,
  LeaseRecord,
  LockRecord,
  StreamRecord,
  WatchRecord,
} from './records.js'
import { errorType, operationName } from './rpc-names.js'

/** Attributes of a measurement; undefined ones are omitted. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

/** Receives a measurement: an increment of a counter, or a value of a histogram. */
export type Measure = (name: MetricName, value: number, attributes: Attributes) => void

/** Receives what happens on the wire, for the metrics that gRPC clients have. */
export interface RpcMeasure {
  started(rpc: Rpc): void
  handled(rpc: Rpc, outcome: CallOutcome, durationMs: number): void
  sent(rpc: Rpc): void
  received(rpc: Rpc): void
}

/** An RPC, and the endpoint that it is sent to, if that is known. */
export interface Rpc {
  /** For example `/etcdserverpb.KV/Range`. */
  readonly path: string
  readonly type: 'unary' | 'server_stream' | 'bidi_stream'
  readonly endpoint: string | undefined
}

type Reader = (record: never) => void

/** Measures a client from now on. Returns a function that stops. */
export function measure(client: ClientIdentity, take: Measure): () => void {
  return follow(client, [
    [channels.call, (record: CallRecord) => measureCall(record, take)],
    [
      channels.slow,
      ({ method }: CallRecord) => take('etcd.call.slow', 1, { 'db.operation.name': operationName(method) }),
    ],
    [channels.attempt, (record: AttemptRecord) => measureAttempt(record, take)],
    [
      channels.authenticate,
      ({ reason, outcome }: AuthenticateRecord) =>
        take('etcd.auth.refreshes', 1, { 'etcd.reason': reason, 'error.type': errorType(outcome) }),
    ],
    [channels.watch, ({ type }: WatchRecord) => type === 'lost' && take('etcd.watch.reconnects', 1, {})],
    [channels.informer, (record: InformerRecord) => measureResync(record, take)],
    [channels.lease, (record: LeaseRecord) => measureLease(record, take)],
    [channels.lock, (record: LockRecord) => measureLock(record, take)],
  ])
}

/** Measures the RPCs of a client from now on. Returns a function that stops. */
export function measureRpcs(client: ClientIdentity, take: RpcMeasure): () => void {
  return follow(client, [
    [tracing.attempt.start, ({ path }: AttemptStart) => take.started({ path, type: 'unary', endpoint: undefined })],
    [
      channels.attempt,
      ({ path, endpoint, outcome, durationMs, connectMs }: AttemptRecord) => {
        const rpc: Rpc = { path, type: 'unary', endpoint }
        if (endpoint !== undefined) take.sent(rpc)
        if (outcome.ok) take.received(rpc)
        take.handled(rpc, outcome, durationMs - connectMs)
      },
    ],
    [channels.stream, (record: StreamRecord) => measureStream(record, take)],
  ])
}

/** An observed value. */
export interface Reading {
  readonly name: MetricName
  readonly value: number
  readonly attributes: Attributes
}

/** The observed values of a client. */
export function readings({
  client,
  revision,
  endpoints,
  watches,
  informers,
  leases,
  throttled,
}: ClientStats): Reading[] {
  const all: Reading[] = []
  const read = (name: MetricName, value: number, attributes: Attributes = {}): number =>
    all.push({ name, value, attributes })
  read('etcd.lease.active', leases)
  read('etcd.retry.throttled', throttled)
  read('etcd.watch.lag', Math.max(0, ...watches.map(({ lag }) => lag)))
  for (const [state, count] of countBy(watches)) read('etcd.watch.active', count, { 'etcd.state': state })
  for (const [state, count] of countBy(endpoints)) read('etcd.endpoint.state', count, { 'etcd.state': state })
  for (const { endpoint, latencyMs } of endpoints) {
    if (latencyMs !== undefined) read('etcd.endpoint.latency', latencyMs / 1000, { 'etcd.endpoint': endpoint })
  }
  const connections = endpoints.filter(({ state }) => state === 'ready' || state === 'ejected' || state === 'probing')
  for (const [isUsed, state] of [
    [true, 'used'],
    [false, 'idle'],
  ] as const) {
    const count = connections.filter(({ inFlight }) => inFlight > 0 === isUsed).length
    const pool = { 'db.client.connection.pool.name': client.name, 'db.client.connection.state': state }
    read('db.client.connection.count', count, pool)
  }
  for (const informer of informers) {
    const attributes = { 'etcd.range': rangeText(informer) }
    read('etcd.informer.size', informer.size, attributes)
    read('etcd.informer.lag', Math.max(0, revision - informer.revision), attributes)
    read('etcd.informer.queue', Math.max(0, ...informer.handlers.map(({ queued: pending }) => pending)), attributes)
  }
  return all
}

/** Subscribes to the records of one client. */
function follow(
  client: ClientIdentity,
  readers: readonly (readonly [Pick<Channel, 'subscribe' | 'unsubscribe'>, Reader])[],
): () => void {
  const subscriptions = readers.map(([channel, read]) => {
    const listen = (message: unknown): void => {
      // Each channel has messages of one type, all of which have a client.
      const record = message as { readonly client: ClientIdentity }
      if (record.client === client) read(record as never)
    }
    channel.subscribe(listen)
    return () => channel.unsubscribe(listen)
  })
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe()
  }
}

function measureCall({ client, method, durationMs, responseKeys, outcome }: CallRecord, take: Measure): void {
  const operation = {
    'db.system.name': 'etcd',
    'db.operation.name': operationName(method),
    'db.namespace': client.namespace,
  }
  const error = errorType(outcome)
  const code = outcome.ok || outcome.aborted ? undefined : outcome.code
  take('db.client.operation.duration', durationMs / 1000, {
    ...operation,
    'db.response.status_code': code,
    'error.type': error,
  })
  if (outcome.ok && countsKeys(method)) take('db.client.response.returned_rows', responseKeys, operation)
}

/** Whether the keys of such a call are counted: they were read or deleted. */
export function countsKeys(method: string): boolean {
  return method === 'KV.Range' || method === 'KV.DeleteRange'
}

function measureAttempt({ reason, method, batch }: AttemptRecord, take: Measure): void {
  if (batch !== undefined) take('etcd.batch.size', batch.calls, { 'db.operation.name': operationName(batch.method) })
  if (reason !== 'first')
    take('etcd.retry.attempts', 1, { 'db.operation.name': operationName(method), 'etcd.reason': reason })
}

function measureResync(record: InformerRecord, take: Measure): void {
  if (record.type !== 'resync') return
  take('etcd.informer.resyncs', 1, { 'etcd.range': rangeText(record), 'etcd.reason': record.reason })
}

function measureLease(record: LeaseRecord, take: Measure): void {
  if (record.type === 'lost') take('etcd.lease.expired', 1, { 'etcd.reason': record.reason })
  if (record.type !== 'renewed') return
  take('etcd.lease.keepalive.latency', record.durationMs / 1000, {})
  take('etcd.lease.slack', record.slackMs / 1000, {})
}

function measureLock(record: LockRecord, take: Measure): void {
  if (record.type === 'lost') take('etcd.lock.lost', 1, {})
  const kind = { 'etcd.lock.kind': record.kind }
  if (record.type === 'lost' || record.type === 'released') take('etcd.lock.held', record.heldMs / 1000, kind)
  else take('etcd.lock.wait', record.durationMs / 1000, { ...kind, 'error.type': errorType(record.outcome) })
}

function measureStream(record: StreamRecord, take: RpcMeasure): void {
  const { path, endpoint, method } = record
  const isBidi = method === 'Watch.Watch' || method === 'Lease.LeaseKeepAlive'
  const rpc: Rpc = { path, type: isBidi ? 'bidi_stream' : 'server_stream', endpoint }
  switch (record.type) {
    case 'opened':
      take.started(rpc)
      return
    case 'sent':
      take.sent(rpc)
      return
    case 'received':
      take.received(rpc)
      return
    case 'ended':
      take.handled(rpc, record.outcome, record.durationMs)
  }
}

function countBy(all: readonly { readonly state: string }[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { state } of all) counts.set(state, (counts.get(state) ?? 0) + 1)
  return counts
}

/** A range as an attribute; its cardinality is the number of informers. */
function rangeText({ range, keyText }: StatsRange): string {
  return keyText === undefined ? range : `${range} ${keyText}`
}
