import type { CertificateOptions } from './certificates.js'
import type { ClusterTimers, EtcdFlags } from './member-flags.js'

/** Options of `EtcdCluster.start()`. */
export interface EtcdClusterOptions {
  /** Number of voting members. @default 1 */
  readonly members?: number
  /**
   * A series ('3.5') or an exact version ('3.5.30').
   * @default `ETCDKIT_ETCD_VERSION`, else the newest that is available without a Go toolchain
   */
  readonly version?: string | undefined
  /**
   * The client port of the first member. Its peers use the next port, the second member the two ports after that, and so
   * on. @default free ports
   */
  readonly port?: number | undefined
  /**
   * Keeps the cluster in this directory: a later cluster with the same directory continues with its members, data, ports
   * and certificate authority. @default a temporary directory, deleted at the end
   */
  readonly dataDir?: string | undefined
  /** Serves clients over TLS with certificates issued for this cluster. @default false */
  readonly tls?: boolean | EtcdClusterTlsOptions
  /** Creates the user root with this password and enables authentication. @default disabled */
  readonly auth?: EtcdClusterAuthOptions | undefined
  /** Puts a fault proxy in front of each member's client port. @default false */
  readonly proxy?: boolean
  /**
   * `fast`: heartbeats every 50 ms, elections after 500 ms; `default`: etcd's own 100 ms and 1000 ms, for machines so busy
   * that members miss heartbeats.
   * @default `ETCDKIT_ETCD_TIMERS`, else 'fast'
   */
  readonly timers?: ClusterTimers | undefined
  /**
   * Further etcd flags for every member, by name without dashes; undefined removes a flag set by the harness. Flags
   * that etcd renamed between versions can have either name.
   */
  readonly flags?: EtcdFlags
  /** Further environment variables of the members. They do not inherit variables that begin with `ETCD_`. */
  readonly env?: Readonly<Record<string, string>>
}

/** TLS options of a cluster for its clients. */
export interface EtcdClusterTlsOptions {
  /** Rejects clients without a certificate from the cluster's authority. @default false */
  readonly clientCertAuth?: boolean
  /** Changes the members' certificate, for example to an expired one or one for another host. */
  readonly serverCertificate?: CertificateOptions
}

/** Authentication options of a cluster. */
export interface EtcdClusterAuthOptions {
  readonly rootPassword: string
}
