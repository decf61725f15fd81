import type { CallOptions, CallOptionsFactory } from './call-options.js'

/** What runs a call, such as a policy of cockatiel, of any release. */
export interface IPolicy {
  execute<T>(fn: () => Promise<T>): Promise<T>
}

/** Options of grpc-js, by their names. Those without an effect here are reported by a process warning. */
export interface ChannelOptions {
  /** Silence on a connection after which it is pinged, in milliseconds; 5000 at least. */
  'grpc.keepalive_time_ms'?: number | undefined
  /** How long a ping may stay unanswered, in milliseconds. */
  'grpc.keepalive_timeout_ms'?: number | undefined
  /** Answers have no limit of size here. */
  'grpc.max_receive_message_length'?: number | undefined
  /** The largest request, in bytes. */
  'grpc.max_send_message_length'?: number | undefined
  /** The name that the certificates of the members are checked for. */
  'grpc.ssl_target_name_override'?: string | undefined
  /** 1 to obey `https_proxy` and its kin. @default 0 */
  'grpc.enable_http_proxy'?: number | undefined
  [name: string]: unknown
}

/** What a client is made with. */
export interface IOptions {
  /** Certificates; with them, hosts without `http://` or `https://` use TLS. */
  credentials?:
    | {
        rootCertificate: Buffer
        privateKey?: Buffer | undefined
        certChain?: Buffer | undefined
      }
    | undefined
  /** Options of grpc-js. */
  grpcOptions?: ChannelOptions | undefined
  /** A user and its password. */
  auth?:
    | {
        username: string
        password: string
        /** The deadline of calls that wait for the first login. */
        callOptions?: CallOptionsFactory | undefined
      }
    | undefined
  /** Options of calls that have none of their own. */
  defaultCallOptions?: CallOptionsFactory | undefined
  /** The members, all with `https://` or none. */
  hosts: string[] | string
  /** How long a call waits for a connection, in milliseconds. @default 5000 */
  dialTimeout?: number | undefined
  /** Policies of the caller. The engine repeats, backs off and leaves sick members alone without any. */
  faultHandling?:
    | Partial<{
        /** Has no effect, which a process warning reports unless it is a policy that does nothing. */
        host: (hostname: string) => IPolicy
        /** Runs every unary call. */
        global: IPolicy
        /** Has no effect, which a process warning reports. */
        watchBackoff: object
      }>
    | undefined
}

export type { CallOptions, CallOptionsFactory }
