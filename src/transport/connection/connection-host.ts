import type { StatusResponse } from '../../protobuf/generated/messages.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import type { CallMetadata } from '../transport.js'
import type { ClusterIdentity } from './cluster-identity.js'
import type { ConnectionState } from './connection-state.js'
import type { Patience } from './patience.js'

/** What a connection needs from the set it belongs to. */
export interface ConnectionHost<Connection> {
  readonly identity: ClusterIdentity
  readonly settings: ChannelSettings
  readonly patience: Patience
  credentials(endpoint: Endpoint): Credentials
  /** Metadata for probes: the current token, if any. */
  probeMetadata(): CallMetadata
  /** The member responds, but not to calls with this token. Returns whether the token is being replaced. */
  tokenStalled(token: string): boolean
  /** The member belongs to another cluster than the client. */
  otherClusterFound(connection: Connection): void
  /** A connection was found dead or silent: all connections are checked, since the cause may affect them as well. */
  silenceFound(connection: Connection): void
  /** The connection has entered a new state. */
  stateChanged(connection: Connection, previous: ConnectionState): void
  /** The member has reported its status: its ID, its role and the leader. */
  statusReceived(connection: Connection, status: StatusResponse): void
}
