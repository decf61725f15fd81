import type { ChannelCredentials, ChannelInterface, connectivityState, Metadata } from '@grpc/grpc-js'
import type { ChannelSettings } from './channel-settings.js'
import type { Credentials } from './credentials.js'
import type { Endpoint } from './endpoint.js'
import { type GrpcJs, loadedGrpcJs, loadGrpcJs } from './grpc-js.js'
import { connectReason } from './grpc-status.js'
import type { CallMetadata } from './transport.js'
import type { CallStatus, LaneState, UnaryLane, UnaryListener } from './unary-lane.js'

/** A call on the wire, as grpc-js makes it. */
export type GrpcCall = ReturnType<ChannelInterface['createCall']>
/** What grpc-js tells about a call on the wire. */
export type GrpcListener = Parameters<GrpcCall['start']>[1]

/** etcd bounds requests itself (1.5 MiB by default) and its answers not at all, hence no limit for either here. */
const unlimited = -1
/** Larger than the default of 64 KiB, which stalls pages of some MiB on links with a real round trip. */
const flowControlWindowBytes = 2 * 1024 * 1024
const unavailableStatus = 14
/** The longest delay a Node timer takes: this channel never goes idle by itself. */
const neverMs = 2 ** 31 - 1

/** A channel and the module that it was made with. */
interface Opened {
  readonly grpc: GrpcJs
  readonly channel: ChannelInterface
}

/**
 * One connection to one member, for unary calls and for streams. The only place where calls are made through grpc-js.
 * Without the module, which `connect` loads, it carries nothing: unary calls wait for `connected`, and who opens streams
 * loads the module first.
 */
export class GrpcChannel implements UnaryLane {
  readonly #init: readonly [Endpoint, Credentials, ChannelSettings]
  readonly #onState: (state: LaneState) => void
  #opened: Opened | undefined
  #closed = false
  #state: connectivityState | undefined
  /** Tells states apart that look the same. */
  #changes = 0

  constructor(
    endpoint: Endpoint,
    credentials: Credentials,
    settings: ChannelSettings,
    onState: (state: LaneState) => void,
  ) {
    this.#init = [endpoint, credentials, settings]
    this.#onState = onState
  }

  connect(): void {
    const grpc = loadedGrpcJs()
    if (grpc === undefined) void loadGrpcJs().then((module) => this.#open(module), this.#onNotLoaded)
    else this.#open(grpc)
  }

  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: UnaryListener,
  ): GrpcCall {
    // The deadline of a grpc-js call is a wall clock time; waiting is measured on the monotonic clock everywhere else.
    const deadline = Date.now() + (deadlineAt - performance.now())
    const call = this.#startCall(path, deadline, metadata, listener)
    call.startRead()
    call.sendMessageWithContext({}, message)
    call.halfClose()
    return call
  }

  /** Opens a stream without a deadline; `listener` hears each message that `startRead` asks for. */
  startStream(path: string, metadata: CallMetadata, listener: GrpcListener): GrpcCall {
    return this.#startCall(path, Number.POSITIVE_INFINITY, metadata, listener)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#opened?.channel.close()
  }

  #open(grpc: GrpcJs): void {
    if (this.#closed) return
    const [endpoint, credentials, settings] = this.#init
    const channel = new grpc.Channel(endpoint.target, grpcCredentials(grpc, credentials), channelOptions(settings))
    this.#opened = { grpc, channel }
    this.#watch(this.#opened, channel.getConnectivityState(true))
  }

  readonly #onNotLoaded = (error: unknown): void => {
    if (!this.#closed) this.#onState({ kind: 'failed', reason: `@grpc/grpc-js cannot be loaded: ${String(error)}` })
  }

  #startCall(path: string, deadline: number, metadata: CallMetadata, listener: GrpcListener): GrpcCall {
    if (this.#opened === undefined) throw new Error('@grpc/grpc-js is not loaded')
    const { grpc, channel } = this.#opened
    const call = channel.createCall(path, deadline, null, null, null)
    call.start(grpcMetadata(grpc, metadata), listener)
    return call
  }

  #watch(opened: Opened, state: connectivityState): void {
    opened.channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (this.#closed) return
      // A lost connection leaves the channel idle: asking for its state with `true` makes it connect again.
      const next = opened.channel.getConnectivityState(true)
      this.#watch(opened, next)
      this.#enter(opened.grpc, next)
    })
  }

  #enter({ connectivityState }: GrpcJs, state: connectivityState): void {
    const wasConnected = this.#state === connectivityState.READY
    this.#state = state
    this.#changes += 1
    if (state === connectivityState.READY) this.#onState({ kind: 'connected' })
    else if (state === connectivityState.TRANSIENT_FAILURE) this.#onFailed()
    else if (wasConnected) this.#onState({ kind: 'connecting' })
  }

  #onFailed(): void {
    const failing = this.#changes
    this.#onState({ kind: 'failed', reason: undefined })
    this.#askWhyNot(({ code, details }) => {
      if (this.#closed || this.#changes !== failing || code !== unavailableStatus) return
      this.#onState({ kind: 'failed', reason: connectReason(details) })
    })
  }

  /** A call on a channel that cannot connect fails at once, and its text says why. */
  #askWhyNot(onReceiveStatus: (status: CallStatus) => void): void {
    if (this.#closed) return
    const listener = { onReceiveMetadata() {}, onReceiveMessage() {}, onReceiveStatus }
    this.startUnary('/etcdserverpb.Maintenance/Status', Buffer.alloc(0), {}, performance.now() + 1000, listener)
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

const credentialsCache = new WeakMap<Credentials, ChannelCredentials>()

function grpcCredentials({ ChannelCredentials }: GrpcJs, credentials: Credentials): ChannelCredentials {
  const cached = credentialsCache.get(credentials)
  if (cached !== undefined) return cached
  const { tls } = credentials
  const made =
    tls === undefined
      ? ChannelCredentials.createInsecure()
      : ChannelCredentials.createFromSecureContext(tls.secureContext, { rejectUnauthorized: tls.rejectUnauthorized })
  credentialsCache.set(credentials, made)
  return made
}

const metadataCache = new WeakMap<CallMetadata, Metadata>()

function grpcMetadata(grpc: GrpcJs, metadata: CallMetadata): Metadata {
  const cached = metadataCache.get(metadata)
  if (cached !== undefined) return cached
  const made = new grpc.Metadata()
  for (const [name, value] of Object.entries(metadata)) made.set(name, value)
  metadataCache.set(metadata, made)
  return made
}
