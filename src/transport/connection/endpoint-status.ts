import type { Connection } from './connection.js'
import { reasonOf } from './connection-events.js'
import type { ConnectionState, MemberRole } from './connection-state.js'

/** What the client currently knows about one of its endpoints. */
export interface EndpointStatus {
  readonly endpoint: string
  /**
   * - `idle`: not used yet
   * - `connecting`: no connection
   * - `probing`: connected, waiting for the member to report its status
   * - `ready`: gets traffic
   * - `ejected`: connected, gets traffic only where no member is ready; `reason` says why
   * - `closed`: the client is closed
   */
  readonly state: ConnectionState['kind']
  /** Why the endpoint is not ready, if known: an {@link EjectReason}, what a proxy answered, or the reason why connecting failed. */
  readonly reason: string | undefined
  /** Moving average of the latency of small calls in milliseconds; `undefined` before the first one. */
  readonly latencyMs: number | undefined
  /** Unary calls in flight. */
  readonly inFlight: number
  /** Open streams: watches, lease keep-alives, snapshots and observers. */
  readonly streams: number
  /** Concurrent streams that the member allows on a connection (`--max-concurrent-streams`); `undefined` if unlimited or unknown. */
  readonly maxStreams: number | undefined
  readonly role: MemberRole | undefined
  readonly memberId: string | undefined
  readonly version: string | undefined
  /** The cluster that the member belongs to; `undefined` until it has answered on the current connection. */
  readonly clusterId: string | undefined
}

/** The value that Go servers announce when no limit is set. */
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
