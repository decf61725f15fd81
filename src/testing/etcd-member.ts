import type { FaultProxy } from './fault-proxy.js'
import type { GatewayMessage } from './gateway.js'

/** `stopped`: no process, the data is kept. `removed`: no longer in the cluster, the data is gone. */
export type EtcdMemberState = 'running' | 'paused' | 'stopped' | 'removed'

/** One etcd process of a cluster. */
export interface EtcdMember {
  /** The member's name in the cluster, m0 for the first. */
  readonly name: string
  /** URL for clients: that of the fault proxy if there is one. */
  readonly endpoint: string
  /** URL of the etcd process itself, past any proxy. */
  readonly clientUrl: string
  /** URL for the other members. */
  readonly peerUrl: string
  /** The proxy in front of the client port, in a cluster that was started with `proxy: true`. */
  readonly proxy: FaultProxy | undefined
  /** The state of the process. A member that exited unexpectedly is `stopped`. */
  readonly state: EtcdMemberState
  /** Process ID; undefined while no process runs. */
  readonly pid: number | undefined
  /** The member ID in lower-case hexadecimal. */
  readonly memberId: string
  /** Whether the member is a learner. */
  readonly isLearner: boolean
  /** The etcd version of the member, for example `3.5.30`. */
  readonly version: string
  /** The data directory. */
  readonly dataDir: string
  /** The output of the process, over all restarts. */
  log(): string
  /** Sums the samples of a Prometheus metric with these labels. @returns the sum, 0 without samples */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  /**
   * Calls a method of etcd's JSON gateway on this member, past any proxy, and as root if authentication is enabled.
   *
   * @param path for example `/v3/kv/range`
   * @param message the request; bytes are base64 and 64-bit numbers are decimal strings, also in the response
   * @param timeoutMs the time limit, 10000 by default
   * @throws `GatewayError` if etcd rejects the call
   */
  call(path: string, message?: GatewayMessage, timeoutMs?: number): Promise<GatewayMessage>
}
