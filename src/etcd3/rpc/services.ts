import { AuthClient, ClusterClient, MaintenanceClient } from './admin-clients.js'
import { KVClient, LeaseClient, WatchClient } from './kv-clients.js'

/** The classes of the services, by name. */
export const Services = {
  KV: KVClient,
  Watch: WatchClient,
  Lease: LeaseClient,
  Cluster: ClusterClient,
  Maintenance: MaintenanceClient,
  Auth: AuthClient,
}
