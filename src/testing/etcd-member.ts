import type { FaultProxy } from './fault-proxy.js'
import type { GatewayMessage } from './gateway.js'

/** `stopped`: no process, the data is kept. `removed`: no longer in the cluster, the data is gone. */
export type EtcdMemberState = 'running' | 'paused' | 'stopped' | 'removed'

/** One etcd process of a cluster. */
export interface EtcdMember {
  /** The member's name in the cluster, m0 for the first. */
  readonly name: string
  /** URL that clients should use: that of the fault proxy if there is one. */
  readonly endpoint: string
  /** URL of the etcd process itself, past any proxy. */
  readonly clientUrl: string
  /** URL that the other members use. */
  readonly peerUrl: string
  /** The proxy in front of the client port, in a cluster that was started with `proxy: true`. */
  readonly proxy: FaultProxy | undefined
  /** What the member is doing now; a process that ended by itself is `stopped`. */
  readonly state: EtcdMemberState
  /** Process id; undefined while there is no process. */
  readonly pid: number | undefined
  /** The member's id in etcd's own lower-case hexadecimal form. */
  readonly memberId: string
  /** True for a member that was added as a learner and is not promoted yet. */
  readonly isLearner: boolean
  /** Version of the program that the member runs, for example `3.5.30`. */
  readonly version: string
  /** Where etcd keeps the member's data. */
  readonly dataDir: string
  /** Everything that the process has written, over all restarts. */
  log(): string
  /** Sums the samples of one of the member's metrics that carry these labels; 0 when there are none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  /**
   * Calls a method of etcd's JSON gateway, for example `/v3/kv/range`, on this member, past any proxy and as root where
   * authentication is on. Bytes are base64 and 64-bit numbers decimal strings, both ways.
   *
   * @param timeoutMs 10000 unless given
   */
  call(path: string, message?: GatewayMessage, timeoutMs?: number): Promise<GatewayMessage>
}
