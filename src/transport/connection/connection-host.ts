import type { StatusResponse } from '../../protobuf/generated/messages.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import type { CallMetadata } from '../transport.js'
import type { ClusterIdentity } from './cluster-identity.js'
import type { ConnectionState } from './connection-state.js'

/** What a connection needs from the set it belongs to. */
export interface ConnectionHost<Connection> {
  readonly identity: ClusterIdentity
  readonly settings: ChannelSettings
  credentials(endpoint: Endpoint): Credentials
  /** Metadata for the probes: the token, where there is one. */
  probeMetadata(): CallMetadata
  /** The member answers, but not the calls with this token. Returns whether another one is got. */
  tokenStalled(token: string): boolean
  /** The member turned out to belong to another cluster than the client's. */
  otherClusterFound(connection: Connection): void
  /** Something of this connection is dead, or has been silent for long: it is checked, and the others are, too. */
  silenceFound(connection: Connection): void
  /** The connection entered a new state. */
  stateChanged(connection: Connection, previous: ConnectionState): void
  /** The member told who it is, or who leads. */
  statusReceived(connection: Connection, status: StatusResponse): void
}
