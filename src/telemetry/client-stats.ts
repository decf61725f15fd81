import type { ClientIdentity, ClusterRecord, EndpointState, RangeKind } from './records.js'

/** The current state of the connection to a member. */
export interface EndpointStats {
  readonly endpoint: string
  readonly state: EndpointState
  /** Moving average of the latency of small calls, in milliseconds. */
  readonly latencyMs: number | undefined
  /** Calls in flight. */
  readonly inFlight: number
}

/**
 * The current state of a watch.
 * @inline
 */
export interface WatchStats {
  readonly state: string
  readonly endpoint: string | undefined
  readonly revision: number
  /** How many revisions its consumer is behind the received events. */
  readonly lag: number
  /** Events that wait for the consumer. */
  readonly buffered: number
  readonly reconnects: number
}

/**
 * The current state of an informer.
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
 * The keys of a watch or an informer.
 * @inline
 */
export interface StatsRange {
  readonly range: RangeKind
  /** `undefined` for all keys, and with `diagnostics: { keys: false }`. */
  readonly keyText: string | undefined
}

/** The current state of a client. Contains what JSON can hold: numbers that are finite, text, arrays and objects. */
export interface ClientStats {
  readonly client: ClientIdentity
  /** The cluster of the client, and the last change to another one, if there was any. */
  readonly cluster: {
    readonly id: string | undefined
    readonly followed: Omit<ClusterRecord, 'client'> | undefined
  }
  /** The highest revision that the client has seen. */
  readonly revision: number
  readonly endpoints: readonly EndpointStats[]
  readonly watches: readonly (StatsRange & WatchStats)[]
  readonly informers: readonly (StatsRange & InformerStats)[]
  /** Leases that are kept alive. */
  readonly leases: number
  /** How often a call or a retry was queued because the cluster refused other calls of its kind. */
  readonly throttled: number
  /**
   * The maximum number of writes in flight, the current number, and the number of queued writes, each of which keeps its
   * deadline. There is no limit (`undefined`) until a member reports that it cannot keep up, or writes time out.
   */
  readonly writes: { readonly limit: number | undefined; readonly inFlight: number; readonly queued: number }
}

/** The part of a client that adapters for metrics and traces use. */
export interface ObservedClient {
  /** The state of the client and its counters. */
  stats(): ClientStats
  /** Calls the listener when the client has been closed. Returns a function that removes it. */
  on(event: 'closed', listener: () => void): () => void
}
