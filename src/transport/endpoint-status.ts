import type { Connection } from './connection.js'
import { reasonOf } from './connection-events.js'
import type { ConnectionState, Role } from './connection-state.js'

/** What a client knows about one of its endpoints now. */
export interface EndpointStatus {
  readonly endpoint: string
  /**
   * `ready` gets traffic; `connecting` has no connection; `probing` has one that has not proved itself; `ejected` has one
   * but gets traffic only where no other member is ready; `idle` was not needed yet; `closed` is over.
   */
  readonly state: ConnectionState['kind']
  /** Why it is not ready, where that is known. */
  readonly reason: string | undefined
  /** Moving average of the time that small calls take, in milliseconds. */
  readonly latencyMs: number | undefined
  /** Calls under way. */
  readonly inFlight: number
  readonly role: Role | undefined
  readonly memberId: string | undefined
  readonly version: string | undefined
  /** The cluster that the member belongs to, as far as it has said so since it was connected. */
  readonly clusterId: string | undefined
}

export function statusOf(connection: Connection): EndpointStatus {
  return {
    endpoint: connection.url,
    state: connection.state.kind,
    reason: reasonOf(connection.state),
    latencyMs: connection.latencyMs,
    inFlight: connection.inFlight,
    role: connection.role,
    memberId: connection.memberId,
    version: connection.version,
    clusterId: connection.clusterId,
  }
}
