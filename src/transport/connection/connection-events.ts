import type { StreamPurpose } from '../stream-slots.js'
import type { ClusterFollowed } from './cluster-follower.js'
import type { Connection } from './connection.js'
import type { ConnectionState } from './connection-state.js'
import type { EjectReason } from './ejection.js'

/** The events of a client's connections: payloads by event name. */
export interface ConnectionEvents {
  /** A member is ready: calls and streams are sent to it. Emitted once until it is ejected or lost, however many connections follow. */
  endpointReady: { readonly endpoint: string }
  /**
   * A connected member was ejected: it gets no traffic until a probe succeeds. Emitted once until the member is ready again or
   * the reason changes. See {@link EjectReason}.
   */
  endpointEjected: { readonly endpoint: string; readonly reason: EjectReason }
  /**
   * The connection to a member was lost or could not be established; reconnecting is automatic. Emitted once until the member
   * is ready again. `reason` is why connecting failed, `undefined` for a connection that was lost.
   */
  endpointLost: { readonly endpoint: string; readonly reason: string | undefined }
  /**
   * A member allows `maxStreams` streams on a connection (`--max-concurrent-streams`), too few for this client: the stream for
   * `purpose` waits, is opened on another member, or is shared. Emitted once for each endpoint and purpose.
   */
  streamLimit: { readonly endpoint: string; readonly maxStreams: number; readonly purpose: StreamPurpose }
  /** The list of endpoints has changed, by `setEndpoints()`, discovery or synchronization with the member list. */
  endpointsChanged: { readonly endpoints: readonly string[] }
  /** Another member was elected leader. */
  leaderChanged: { readonly memberId: string; readonly raftTerm: number }
  /** A member responded with the ID of another cluster (`actual`). See `clusterFollowed`. */
  clusterChanged: { readonly endpoint: string; readonly expected: string; readonly actual: string }
  /**
   * The client has switched to another cluster: most endpoints belong to it, or all reachable ones have for 5 s. Revisions of
   * the former cluster are no longer meaningful.
   */
  clusterFollowed: ClusterFollowed
  /** A linearizable response had a lower revision (`actual`) than an earlier one (`seen`): the cluster was restored from a backup. */
  revisionRewound: { readonly endpoint: string; readonly seen: number; readonly actual: number }
}

/** Receives a manager's events. */
export interface EventSink {
  emit<Name extends keyof ConnectionEvents>(event: Name, payload: ConnectionEvents[Name]): void
}

/** A connection has entered another state. */
export interface StateChange {
  readonly endpoint: string
  readonly previous: ConnectionState['kind']
  readonly state: ConnectionState['kind']
  /** Why the connection is not ready, if known. */
  readonly reason: string | undefined
  /** Time spent in the previous state, in milliseconds. */
  readonly previousMs: number
}

/**
 * Converts changes of state to events: each loss and each ejection once, however many attempts follow it, and that a member is
 * ready once, although every connection that replaces a silent one is probed anew.
 */
export class StateReporter {
  readonly #events: EventSink
  readonly #onChange: ((change: StateChange) => void) | undefined
  /** Connections that were reported as ready and neither as ejected nor as lost since. */
  readonly #ready = new WeakSet<Connection>()
  /** Connections whose loss was reported and that have not been ready since. */
  readonly #lost = new WeakSet<Connection>()
  readonly #enteredAt = new WeakMap<Connection, number>()

  /** `onChange` is called for every change of state. */
  constructor(events: EventSink, onChange: ((change: StateChange) => void) | undefined) {
    this.#events = events
    this.#onChange = onChange
  }

  /** The connection has entered a new state. */
  stateChanged(connection: Connection, previous: ConnectionState): void {
    const { state, url: endpoint } = connection
    this.#reportChange(connection, previous)
    switch (state.kind) {
      case 'ready':
        this.#lost.delete(connection)
        if (this.#ready.has(connection)) return
        this.#ready.add(connection)
        this.#events.emit('endpointReady', { endpoint })
        return
      case 'ejected': {
        this.#ready.delete(connection)
        const isStillEjected = previous.kind === 'probing' && previous.after === state.reason
        if (!isStillEjected) this.#events.emit('endpointEjected', { endpoint, reason: state.reason })
        return
      }
      case 'connecting': {
        this.#ready.delete(connection)
        const hasFailed = state.error !== undefined || !['idle', 'connecting'].includes(previous.kind)
        if (!hasFailed || this.#lost.has(connection)) return
        this.#lost.add(connection)
        this.#events.emit('endpointLost', { endpoint, reason: state.error })
      }
    }
  }

  #reportChange(connection: Connection, before: ConnectionState): void {
    const { state, url: endpoint } = connection
    if (state === before) return
    const now = performance.now()
    const previousMs = now - (this.#enteredAt.get(connection) ?? now)
    this.#enteredAt.set(connection, now)
    this.#onChange?.({
      endpoint,
      previous: before.kind,
      state: state.kind,
      reason: reasonOf(state),
      previousMs,
    })
  }
}

/** Why a connection is not ready, if known. */
export function reasonOf(state: ConnectionState): string | undefined {
  switch (state.kind) {
    case 'connecting':
      return state.error
    case 'ejected':
      return state.detail ?? state.reason
    case 'probing':
      return state.detail ?? state.after
    default:
      return undefined
  }
}
