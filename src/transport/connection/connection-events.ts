import type { StreamPurpose } from '../stream-slots.js'
import type { ClusterFollowed } from './cluster-follower.js'
import type { Connection } from './connection.js'
import type { ConnectionState } from './connection-state.js'
import type { EjectReason } from './ejection.js'

/** What happens to a client's connections. */
export interface ConnectionEvents {
  /** A member gets traffic from now on. */
  endpointReady: { readonly endpoint: string }
  /** A connected member gets no traffic for a while; told once until it is ready again, or the reason is another one. */
  endpointEjected: { readonly endpoint: string; readonly reason: EjectReason }
  /**
   * The connection to a member was lost, or could not be made; it is tried again by itself. Told once until it is ready
   * again. `reason` is why it could not be made.
   */
  endpointLost: { readonly endpoint: string; readonly reason: string | undefined }
  /**
   * A member allows too few streams on a connection (`--max-concurrent-streams`) for what this client needs: what `purpose`
   * names waits, goes to another member, or shares a stream. Told once for each endpoint and purpose.
   */
  streamLimit: { readonly endpoint: string; readonly maxStreams: number; readonly purpose: StreamPurpose }
  /** The list of endpoints was replaced. */
  endpointsChanged: { readonly endpoints: readonly string[] }
  /** Another member leads. */
  leaderChanged: { readonly memberId: string; readonly raftTerm: number }
  /** A member answered for another cluster. See `clusterFollowed`. */
  clusterChanged: { readonly endpoint: string; readonly expected: string; readonly actual: string }
  /**
   * The client has gone on with another cluster: most endpoints belong to it, or for 5 s all that can be reached. Its
   * revisions begin anew.
   */
  clusterFollowed: ClusterFollowed
  /** A consistent answer was older than an earlier one: the cluster was restored from a backup. */
  revisionRewound: { readonly endpoint: string; readonly seen: number; readonly actual: number }
}

/** Where a manager's events go. */
export interface EventSink {
  emit<Name extends keyof ConnectionEvents>(event: Name, payload: ConnectionEvents[Name]): void
}

/** A connection has entered another state. */
export interface StateChange {
  readonly endpoint: string
  readonly previous: ConnectionState['kind']
  readonly state: ConnectionState['kind']
  /** Why it is not ready, where that is known. */
  readonly reason: string | undefined
  /** How long it was in the state before. */
  readonly previousMs: number
}

/** Tells of the states of connections what matters to listeners, each change once, however often it is tried again. */
export class StateReporter {
  readonly #events: EventSink
  readonly #onChange: ((change: StateChange) => void) | undefined
  /** Those whose loss was told and that have not been ready since. */
  readonly #lost = new WeakSet<Connection>()
  readonly #enteredAt = new WeakMap<Connection, number>()

  /** `onChange` is told of every change, however small. */
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
        if (previous.kind !== 'ready') this.#events.emit('endpointReady', { endpoint })
        return
      case 'ejected': {
        const isStillEjected = previous.kind === 'probing' && previous.after === state.reason
        if (!isStillEjected) this.#events.emit('endpointEjected', { endpoint, reason: state.reason })
        return
      }
      case 'connecting': {
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

/** Why a connection is not ready, where that is known. */
export function reasonOf(state: ConnectionState): string | undefined {
  switch (state.kind) {
    case 'connecting':
      return state.error
    case 'ejected':
      return state.reason
    case 'probing':
      return state.after
    default:
      return undefined
  }
}
