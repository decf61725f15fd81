/** What carries calls and streams: this library's own HTTP/2 client, or grpc-js. */
export type TransportKind = 'http2' | 'grpc-js'

/** How the connections to a member are made, and how they find out that their peer is gone. */
export interface ChannelSettings {
  readonly transport: TransportKind
  /** Time without traffic, while calls are open, after which the connection is pinged. etcd refuses less than 5 s. */
  readonly keepaliveMs: number
  /** Time that a ping may stay unanswered before the connection is given up. */
  readonly keepaliveTimeoutMs: number
  /** Whether `https_proxy` and its kin in the environment are obeyed; grpc-js alone does that. */
  readonly useProxyEnvironment: boolean
  /** The name that certificates must be for, in place of the endpoint's host. */
  readonly servername: string | undefined
}
