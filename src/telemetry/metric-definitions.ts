/** The definition of a metric. */
export interface MetricDefinition {
  /** `total` is a counter that is observed, as a gauge is. */
  readonly kind: 'counter' | 'histogram' | 'gauge' | 'total'
  /** In OpenTelemetry's notation. */
  readonly unit: string
  readonly description: string
  /** The names of its attributes, besides `etcd.client`. */
  readonly attributes: readonly string[]
  /** Bounds of a histogram. */
  readonly buckets?: readonly number[]
  /** How readings of one series are merged, such as those of clients with the same name. @default 'sum' */
  readonly merge?: 'sum' | 'maximum'
}

const seconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const longSeconds = [...seconds, 30, 60, 300, 1800]
const sizes = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
const rows = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000]

/** The metrics of a client, by their names in OpenTelemetry. */
export const metricDefinitions = {
  'db.client.operation.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Duration of calls, including all attempts',
    attributes: ['db.system.name', 'db.operation.name', 'db.namespace', 'db.response.status_code', 'error.type'],
    buckets: seconds,
  },
  'db.client.response.returned_rows': {
    kind: 'histogram',
    unit: '{row}',
    description: 'Keys read or deleted',
    attributes: ['db.system.name', 'db.operation.name', 'db.namespace'],
    buckets: rows,
  },
  'db.client.connection.count': {
    kind: 'gauge',
    unit: '{connection}',
    description: 'Connections; used ones have calls in flight',
    attributes: ['db.client.connection.pool.name', 'db.client.connection.state'],
  },
  'etcd.call.slow': {
    kind: 'counter',
    unit: '{call}',
    description: 'Calls that took longer than diagnostics.slowCallMs',
    attributes: ['db.operation.name'],
  },
  'etcd.batch.size': {
    kind: 'histogram',
    unit: '{call}',
    description: 'Number of calls in each batch',
    attributes: ['db.operation.name'],
    buckets: sizes,
  },
  'etcd.retry.attempts': {
    kind: 'counter',
    unit: '{attempt}',
    description: 'Retries, by the failure of the previous attempt',
    attributes: ['db.operation.name', 'etcd.reason'],
  },
  'etcd.retry.throttled': {
    kind: 'total',
    unit: '{attempt}',
    description: 'Calls and retries that were queued',
    attributes: [],
  },
  'etcd.auth.refreshes': {
    kind: 'counter',
    unit: '{token}',
    description: 'Requests for a token, by their reason; failed ones have error.type',
    attributes: ['etcd.reason', 'error.type'],
  },
  'etcd.endpoint.state': {
    kind: 'gauge',
    unit: '{endpoint}',
    description: 'Endpoints by the state of their connection',
    attributes: ['etcd.state'],
  },
  'etcd.endpoint.latency': {
    kind: 'gauge',
    unit: 's',
    description: 'Moving average of the latency of small calls',
    attributes: ['etcd.endpoint'],
    merge: 'maximum',
  },
  'etcd.watch.active': { kind: 'gauge', unit: '{watch}', description: 'Watches', attributes: ['etcd.state'] },
  'etcd.watch.lag': {
    kind: 'gauge',
    unit: '{revision}',
    description: 'Revisions that the slowest consumer of a watch is behind the received events',
    attributes: [],
    merge: 'maximum',
  },
  'etcd.watch.reconnects': {
    kind: 'counter',
    unit: '{reconnect}',
    description: 'Losses of the stream that carries watches',
    attributes: [],
  },
  'etcd.informer.size': {
    kind: 'gauge',
    unit: '{key}',
    description: 'Keys in an informer',
    attributes: ['etcd.range'],
  },
  'etcd.informer.lag': {
    kind: 'gauge',
    unit: '{revision}',
    description:
      'Revisions that an informer is behind its client; an idle range lags until the next progress notification',
    attributes: ['etcd.range'],
    merge: 'maximum',
  },
  'etcd.informer.queue': {
    kind: 'gauge',
    unit: '{change}',
    description: 'Changes queued for the slowest handler of an informer',
    attributes: ['etcd.range'],
    merge: 'maximum',
  },
  'etcd.informer.resyncs': {
    kind: 'counter',
    unit: '{listing}',
    description: 'Listings of an informer that replaced missed events',
    attributes: ['etcd.range', 'etcd.reason'],
  },
  'etcd.lease.active': { kind: 'gauge', unit: '{lease}', description: 'Leases that are kept alive', attributes: [] },
  'etcd.lease.expired': {
    kind: 'counter',
    unit: '{lease}',
    description: 'Leases that were lost',
    attributes: ['etcd.reason'],
  },
  'etcd.lease.keepalive.latency': {
    kind: 'histogram',
    unit: 's',
    description: 'Time from sending a renewal to its response',
    attributes: [],
    buckets: seconds,
  },
  'etcd.lease.slack': {
    kind: 'histogram',
    unit: 's',
    description: 'Time left of a lease when it was renewed',
    attributes: [],
    buckets: longSeconds,
  },
  'etcd.lock.wait': {
    kind: 'histogram',
    unit: 's',
    description: 'Time from the request for a lock to its grant or refusal',
    attributes: ['etcd.lock.kind', 'error.type'],
    buckets: longSeconds,
  },
  'etcd.lock.held': {
    kind: 'histogram',
    unit: 's',
    description: 'Time that locks were held',
    attributes: ['etcd.lock.kind'],
    buckets: longSeconds,
  },
  'etcd.lock.lost': { kind: 'counter', unit: '{lock}', description: 'Locks that were lost', attributes: [] },
} as const satisfies Readonly<Record<string, MetricDefinition>>

export type MetricName = keyof typeof metricDefinitions

/** The names of all metrics. */
export const metricNames = Object.keys(metricDefinitions) as readonly MetricName[]

/** The definition of a metric. */
export function metricDefinition(name: MetricName): MetricDefinition {
  return metricDefinitions[name]
}
