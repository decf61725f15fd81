import type { ClientIdentity, ClusterRecord, EndpointState, RangeKind } from './records.js'

/** What is known of the connection to a member now. */
export interface EndpointStats {
  readonly endpoint: string
  readonly state: EndpointState
  /** Moving average of the time that small calls take, in milliseconds. */
  readonly latencyMs: number | undefined
  /** Calls under way. */
  readonly inFlight: number
}

/**
 * What is known of a watch now.
 * @inline
 */
export interface WatchStats {
  readonly state: string
  readonly endpoint: string | undefined
  readonly revision: number
  /** By how many revisions its consumer is behind what has arrived. */
  readonly lag: number
  /** Events that wait for the consumer. */
  readonly buffered: number
  readonly reconnects: number
}

/**
 * What is known of an informer now.
 * @inline
 */
export interface InformerStats {
  readonly state: string
  readonly endpoint: string | undefined
  readonly size: number
  readonly revision: number
  readonly resyncs: number
  readonly reconnects: number
  readonly handlers: readonly { readonly queued: number; readonly overflows: number }[]
}

/**
 * Which keys something is about.
 * @inline
 */
export interface StatsRange {
  readonly range: RangeKind
  /** `undefined` for all keys, and with `diagnostics: { keys: false }`. */
  readonly keyText: string | undefined
}

/** What is known of a client now. */
export interface ClientStats {
  readonly client: ClientIdentity
  /** The cluster that it talks to, and the last time that it has gone on with another one, if there was one. */
  readonly cluster: {
    readonly id: string | undefined
    readonly followed: Omit<ClusterRecord, 'client'> | undefined
  }
  /** The highest revision that it has seen. */
  readonly revision: number
  readonly endpoints: readonly EndpointStats[]
  readonly watches: readonly (StatsRange & WatchStats)[]
  readonly informers: readonly (StatsRange & InformerStats)[]
  /** Leases that are kept alive. */
  readonly leases: number
  /** How often a call, or its repeat, had to wait for its turn since the cluster did not take others of its kind. */
  readonly throttled: number
  /**
   * How many writes may be in flight, how many are, and how many wait for their turn, within their own time. There is no
   * limit (`Infinity`) until a member says that it cannot keep up, or lets writes time out.
   */
  readonly writes: { readonly limit: number; readonly inFlight: number; readonly queued: number }
}

/** A client, as adapters for metrics and traces need it. */
export interface ObservedClient {
  stats(): ClientStats
  on(event: 'closed', listener: () => void): () => void
}
