import { Channel, type ChannelCredentials, type ChannelInterface, connectivityState, Metadata } from '@grpc/grpc-js'
import type { Endpoint } from './endpoint.js'
import type { CallMetadata } from './transport.js'

/** How a channel finds out that its peer is gone, and how it comes back. */
export interface ChannelSettings {
  /** Time without traffic, while calls are open, after which the connection is pinged. etcd refuses less than 5 s. */
  readonly keepaliveMs: number
  /** Time that a ping may stay unanswered before the connection is given up. */
  readonly keepaliveTimeoutMs: number
  /** Whether `https_proxy` and its kin in the environment are obeyed. */
  readonly useProxyEnvironment: boolean
  /** The name that certificates must be for, in place of the endpoint's host. */
  readonly servername: string | undefined
}

/** Whether the channel has a connection now. */
export type ChannelState = 'connecting' | 'connected' | 'failed' | 'closed'

/** A call on the wire, as grpc-js makes it. */
export type GrpcCall = ReturnType<ChannelInterface['createCall']>
/** What grpc-js tells about a call on the wire. */
export type GrpcListener = Parameters<GrpcCall['start']>[1]

/** etcd bounds requests itself (1.5 MiB by default) and its answers not at all, hence no limit for either here. */
const unlimited = -1
/** Larger than the default of 64 KiB, which stalls pages of some MiB on links with a real round trip. */
const flowControlWindowBytes = 2 * 1024 * 1024
/** The longest delay a Node timer takes: this channel never goes idle by itself. */
const neverMs = 2 ** 31 - 1

/** One connection to one member. The only place where calls are made through grpc-js. */
export class GrpcChannel {
  readonly #channel: ChannelInterface
  readonly #onState: (state: ChannelState) => void
  #closed = false

  constructor(
    endpoint: Endpoint,
    credentials: ChannelCredentials,
    settings: ChannelSettings,
    onState: (state: ChannelState) => void,
  ) {
    this.#channel = new Channel(endpoint.target, credentials, channelOptions(settings))
    this.#onState = onState
  }

  /** Starts to connect, and keeps at it until closed. `onState` is called for each change from now on. */
  connect(): void {
    this.#watch(this.#channel.getConnectivityState(true))
  }

  /** Sends one message and half-closes; `listener` hears the answer. */
  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadline: number,
    listener: GrpcListener,
  ): GrpcCall {
    const call = this.#channel.createCall(path, deadline, null, null, null)
    call.start(grpcMetadata(metadata), listener)
    call.startRead()
    call.sendMessageWithContext({}, message)
    call.halfClose()
    return call
  }

  /** Opens a stream without a deadline; `listener` hears each message that `startRead` asks for. */
  startStream(path: string, metadata: CallMetadata, listener: GrpcListener): GrpcCall {
    const call = this.#channel.createCall(path, Number.POSITIVE_INFINITY, null, null, null)
    call.start(grpcMetadata(metadata), listener)
    return call
  }

  /** Ends the connection and every call on it. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#channel.close()
  }

  #watch(state: connectivityState): void {
    this.#channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (this.#closed) return
      // A lost connection leaves the channel idle: asking for its state with `true` makes it connect again.
      const next = this.#channel.getConnectivityState(true)
      this.#watch(next)
      this.#onState(channelState(next))
    })
  }
}

function channelOptions(settings: ChannelSettings): Record<string, number | string> {
  return {
    ...(settings.servername === undefined ? {} : { 'grpc.ssl_target_name_override': settings.servername }),
    'grpc.keepalive_time_ms': settings.keepaliveMs,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
    // etcd answers pings without calls by closing the connection (`too_many_pings`).
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2000,
    'grpc.client_idle_timeout_ms': neverMs,
    'grpc.max_receive_message_length': unlimited,
    'grpc.max_send_message_length': unlimited,
    'grpc-node.flow_control_window': flowControlWindowBytes,
    'grpc.enable_http_proxy': settings.useProxyEnvironment ? 1 : 0,
    // The retry layer decides what may be sent again; grpc-js would keep a copy of each message for its own retries.
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
    'grpc.service_config_disable_resolution': 1,
    // Each client has connections of its own, so that closing one never touches another.
    'grpc.use_local_subchannel_pool': 1,
  }
}

function channelState(state: connectivityState): ChannelState {
  switch (state) {
    case connectivityState.READY:
      return 'connected'
    case connectivityState.TRANSIENT_FAILURE:
      return 'failed'
    case connectivityState.SHUTDOWN:
      return 'closed'
    case connectivityState.IDLE:
    case connectivityState.CONNECTING:
      return 'connecting'
  }
}

const metadataCache = new WeakMap<CallMetadata, Metadata>()

function grpcMetadata(metadata: CallMetadata): Metadata {
  const cached = metadataCache.get(metadata)
  if (cached !== undefined) return cached
  const made = new Metadata()
  for (const [name, value] of Object.entries(metadata)) made.set(name, value)
  metadataCache.set(metadata, made)
  return made
}
