import type { CertificateOptions } from './certificates.js'
import type { ClusterTimers, EtcdFlags } from './member-flags.js'

/** What a cluster should be like. */
export interface EtcdClusterOptions {
  /** Number of voting members. @default 1 */
  readonly members?: number
  /**
   * A series ('3.5') or an exact version ('3.5.30').
   * @default `ETCDKIT_ETCD_VERSION`, else the newest that can be had without a Go toolchain
   */
  readonly version?: string | undefined
  /** Serves clients over TLS with certificates made for this cluster. @default false */
  readonly tls?: boolean | EtcdClusterTlsOptions
  /** Creates the user root with this password and switches authentication on. */
  readonly auth?: EtcdClusterAuthOptions | undefined
  /** Puts a fault proxy in front of each member's client port. @default false */
  readonly proxy?: boolean
  /**
   * `fast`: heartbeats every 50 ms, elections after 500 ms; `default`: etcd's own 100 ms and 1000 ms, for machines so
   * busy that members miss heartbeats.
   * @default `ETCDKIT_ETCD_TIMERS`, else 'fast'
   */
  readonly timers?: ClusterTimers | undefined
  /**
   * Further etcd flags for every member, by name without dashes; undefined takes a flag away that the harness would
   * set. Flags that were renamed between versions may be given under either name.
   */
  readonly flags?: EtcdFlags
  /** Further environment variables for the members. Variables of this process that begin with ETCD_ are left out. */
  readonly env?: Readonly<Record<string, string>>
}

/** How a cluster uses TLS towards clients. */
export interface EtcdClusterTlsOptions {
  /** Refuses clients without a certificate of the cluster's authority. @default false */
  readonly clientCertAuth?: boolean
  /** Changes the members' certificate, for example to one that is expired or made out to another host. */
  readonly serverCertificate?: CertificateOptions
}

/** How a cluster authenticates users. */
export interface EtcdClusterAuthOptions {
  readonly rootPassword: string
}
