import type { Connection } from './connection.js'
import { reasonOf } from './connection-events.js'
import type { ConnectionState, MemberRole } from './connection-state.js'

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
  /** Streams that are open: watches, renewals of leases and calls that are streams. */
  readonly streams: number
  /** Streams and calls that the member allows on a connection (`--max-concurrent-streams`); `undefined` where it has set no limit. */
  readonly maxStreams: number | undefined
  readonly role: MemberRole | undefined
  readonly memberId: string | undefined
  readonly version: string | undefined
  /** The cluster that the member belongs to, as far as it has said so since it was connected. */
  readonly clusterId: string | undefined
}

/** What Go servers say when they set no limit. */
const unlimitedStreams = 2 ** 32 - 1

export function statusOf(connection: Connection): EndpointStatus {
  const { open, maxStreams } = connection.streamSlots
  return {
    endpoint: connection.url,
    state: connection.state.kind,
    reason: reasonOf(connection.state),
    latencyMs: connection.latencyMs,
    inFlight: connection.inFlight,
    streams: open,
    maxStreams: maxStreams < unlimitedStreams ? maxStreams : undefined,
    role: connection.role,
    memberId: connection.memberId,
    version: connection.version,
    clusterId: connection.clusterId,
  }
}
