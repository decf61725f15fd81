/** What calls and streams are sent with: this library's HTTP/2 client, or `@grpc/grpc-js`. */
export type TransportKind = 'http2' | 'grpc-js'

/** The settings of the connections to a member. */
export interface ChannelSettings {
  readonly transport: TransportKind
  /** Time without received bytes, while calls or streams are open, after which a ping is sent. etcd refuses less than 5 s. */
  readonly keepaliveMs: number
  /** Time without received bytes after a ping before the connection is closed. */
  readonly keepaliveTimeoutMs: number
  /** Whether grpc-js uses the proxy of `grpc_proxy`, `https_proxy` or `http_proxy` in the environment. */
  readonly useProxyEnvironment: boolean
  /** The name that members' certificates are verified for, instead of the endpoint's host. */
  readonly servername: string | undefined
}
