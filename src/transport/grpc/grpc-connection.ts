import type { Socket } from 'node:net'
import type { ChannelInterface, connectivityState, Metadata } from '@grpc/grpc-js'
import { longestTimerMs } from '../../core/abort.js'
import type { CallListener, CallStatus } from '../channel.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { connectReason } from '../grpc-status.js'
import type { SingleConnection, SingleConnectionListener } from '../reconnector.js'
import type { CallMetadata } from '../transport.js'
import type { GrpcJs } from './grpc-js.js'
import { peerMaxStreams } from './grpc-settings.js'
import { socketCredentials } from './grpc-sockets.js'
import { KeepaliveWatchdog } from './keepalive-watchdog.js'

/** A call of grpc-js. */
export type GrpcCall = ReturnType<ChannelInterface['createCall']>

/** etcd limits requests itself (1.5 MiB by default) and does not limit responses, so that no limit is set here. */
const unlimited = -1
/** The default of 64 KiB stalls responses of several MiB on links with latency. */
const flowControlWindowBytes = 2 * 1024 * 1024
const unavailableStatus = 14
/** The longest delay of a Node timer: a channel never becomes idle. */
const neverMs = 2 ** 31 - 1
/** Longer than a failed channel is kept: this library reconnects, not grpc-js. */
const reconnectMs = 60_000
const reasonTimeoutMs = 1000

/** What a connection is created with. */
export interface GrpcConnectionInit {
  readonly endpoint: Endpoint
  readonly credentials: Credentials
  readonly settings: ChannelSettings
}

/**
 * One connection of grpc-js: a separate channel, which is discarded when the connection is lost or cannot be established. Each
 * attempt therefore resolves the name, as new channels do, and uses the current credentials. Calls are made through grpc-js
 * nowhere else.
 */
export class GrpcConnection implements SingleConnection {
  readonly #grpc: GrpcJs
  readonly #channel: ChannelInterface
  readonly #watchdog: KeepaliveWatchdog
  #listener: SingleConnectionListener<GrpcConnection>
  /** One socket, or several while grpc-js tries the addresses of a name. */
  readonly #sockets = new Set<Socket>()
  #state: 'connecting' | 'connected' | 'failing' | 'draining' | 'lost' = 'connecting'

  constructor(
    grpc: GrpcJs,
    { endpoint, credentials, settings }: GrpcConnectionInit,
    listener: SingleConnectionListener<GrpcConnection>,
  ) {
    this.#grpc = grpc
    this.#listener = listener
    const name = settings.servername ?? endpoint.serverName
    const onSocket = (socket: Socket): void => this.#onSocket(socket)
    const shown = socketCredentials(grpc, { credentials, name, onSocket })
    this.#watchdog = new KeepaliveWatchdog(settings, this, () => this.#lose(undefined))
    this.#channel = new grpc.Channel(endpoint.target, shown, channelOptions(settings))
    this.#watch(this.#channel.getConnectivityState(true))
  }

  get bytesRead(): number {
    let bytes = 0
    for (const socket of this.#sockets) bytes += socket.bytesRead
    return bytes
  }

  /** Concurrent streams that the member allows, unary calls included. */
  get maxStreams(): number {
    return peerMaxStreams(this.#channel)
  }

  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: CallListener,
  ): GrpcCall {
    const call = this.#channel.createCall(path, wallClockDeadline(deadlineAt), null, null, null)
    call.start(grpcMetadata(this.#grpc, metadata), listener)
    call.startRead()
    call.sendMessageWithContext({}, message)
    call.halfClose()
    return call
  }

  startStream(path: string, metadata: CallMetadata, listener: CallListener): GrpcCall {
    const call = this.#channel.createCall(path, Number.POSITIVE_INFINITY, null, null, null)
    this.#watchdog.streamStarted()
    call.start(grpcMetadata(this.#grpc, metadata), {
      onReceiveMetadata() {},
      onReceiveMessage: (message) => listener.onReceiveMessage(message),
      onReceiveStatus: (status) => {
        this.#watchdog.streamEnded()
        listener.onReceiveStatus(status)
      },
    })
    return call
  }

  /** Closing a channel of grpc-js does not affect the calls on it. */
  drain(): void {
    if (this.#state !== 'connected') return
    this.#state = 'draining'
    this.#channel.close()
  }

  close(): void {
    if (this.#state === 'lost') return
    this.#state = 'lost'
    this.#watchdog.stop()
    this.#channel.close()
    // The timer of a failed channel runs for `reconnectMs` and references this connection, but must not reference its client.
    this.#listener = noListener
    for (const socket of this.#sockets) socket.destroy()
  }

  #onSocket(socket: Socket): void {
    if (this.#state === 'lost') {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (this.#state === 'draining' && this.#sockets.size === 0) this.#lose(undefined)
    })
  }

  #watch(state: connectivityState): void {
    this.#channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (this.#state === 'lost' || this.#state === 'draining') return
      const next = this.#channel.getConnectivityState(false)
      this.#enter(next)
      if (this.#state === 'connecting' || this.#state === 'connected') this.#watch(next)
    })
  }

  #enter(state: connectivityState): void {
    const { connectivityState } = this.#grpc
    if (this.#state === 'connected') this.#drainOrLose()
    else if (state === connectivityState.READY) {
      this.#state = 'connected'
      this.#listener.onConnected(this)
    } else if (state === connectivityState.TRANSIENT_FAILURE) this.#fail()
  }

  /** After a GOAWAY, the socket is still open. */
  #drainOrLose(): void {
    if ([...this.#sockets].every(({ destroyed }) => destroyed)) {
      this.#lose(undefined)
      return
    }
    this.drain()
    this.#listener.onDraining(this)
  }

  /** A call on a channel that cannot connect fails at once, and its status contains the reason. */
  #fail(): void {
    this.#state = 'failing'
    const onReceiveStatus = ({ code, details }: CallStatus): void => {
      if (this.#state === 'failing') this.#lose(code === unavailableStatus ? connectReason(details) : undefined)
    }
    const listener = { onReceiveMetadata() {}, onReceiveMessage() {}, onReceiveStatus }
    this.startUnary(
      '/etcdserverpb.Maintenance/Status',
      Buffer.alloc(0),
      {},
      performance.now() + reasonTimeoutMs,
      listener,
    )
  }

  #lose(reason: string | undefined): void {
    const listener = this.#listener
    this.close()
    listener.onLost(this, reason)
  }
}

const noListener: SingleConnectionListener<GrpcConnection> = { onConnected() {}, onDraining() {}, onLost() {} }

function channelOptions(settings: ChannelSettings): Record<string, number | string> {
  return {
    'grpc.keepalive_time_ms': settings.keepaliveMs,
    // The acknowledgement of a ping may be queued behind a large response: `KeepaliveWatchdog` accepts any bytes.
    'grpc.keepalive_timeout_ms': neverMs,
    // etcd closes connections with pings and without calls (`too_many_pings`).
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.initial_reconnect_backoff_ms': reconnectMs,
    'grpc.max_reconnect_backoff_ms': reconnectMs,
    'grpc.client_idle_timeout_ms': neverMs,
    'grpc.max_receive_message_length': unlimited,
    'grpc.max_send_message_length': unlimited,
    'grpc-node.flow_control_window': flowControlWindowBytes,
    'grpc.enable_http_proxy': settings.useProxyEnvironment ? 1 : 0,
    // This library retries calls; grpc-js would keep a copy of each message for its own retries.
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
    'grpc.service_config_disable_resolution': 1,
    // Each client has separate connections, so that closing one does not affect another.
    'grpc.use_local_subchannel_pool': 1,
  }
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

/**
 * grpc-js takes deadlines on the wall clock; this library uses the monotonic clock. For a deadline that the eight digits of
 * `grpc-timeout` cannot express, grpc-js would throw where nobody catches it.
 */
function wallClockDeadline(deadlineAt: number): number {
  const leftMs = deadlineAt - performance.now()
  return leftMs > longestTimerMs ? Number.POSITIVE_INFINITY : Date.now() + leftMs
}
