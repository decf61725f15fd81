import type { CallListener, ChannelCall, ChannelState, ChannelStream, StreamChannel, UnaryChannel } from '../channel.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import { DeadlineClock } from '../deadline-clock.js'
import type { Endpoint } from '../endpoint.js'
import { Reconnector } from '../reconnector.js'
import type { CallMetadata } from '../transport.js'
import { commonHeaders, dial } from './dial.js'
import { statusCodes } from './grpc-protocol.js'
import { type ConnectionInit, Http2Connection } from './http2-connection.js'
import { MessageStream } from './message-stream.js'
import { UnaryCall } from './unary-call.js'

/** Calls and streams over this library's HTTP/2 client, which uses plain sockets. */
export class Http2Channel implements UnaryChannel, StreamChannel {
  readonly #deadlines = new DeadlineClock()
  readonly #connections: Reconnector<Http2Connection>

  constructor(
    endpoint: Endpoint,
    credentials: () => Credentials,
    settings: ChannelSettings,
    onState: (state: ChannelState) => void,
    lastStreamId?: number,
  ) {
    const headers = commonHeaders(endpoint)
    this.#connections = new Reconnector((listener) => {
      const init = { headers, settings, deadlines: this.#deadlines, lastStreamId }
      const open: ConnectionInit['dial'] = (onBytes) => dial(endpoint, credentials(), settings, onBytes)
      return new Http2Connection({ ...init, dial: open }, listener)
    }, onState)
  }

  get bytesRead(): number {
    return this.#connections.connected?.bytesRead ?? 0
  }

  get bytesUnsent(): number {
    return this.#connections.connected?.bytesUnsent ?? 0
  }

  get maxStreams(): number {
    return this.#connections.connected?.maxStreams ?? Number.POSITIVE_INFINITY
  }

  connect(): void {
    this.#connections.connect()
  }

  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: CallListener,
  ): ChannelCall {
    const connection = this.#connections.connected
    if (connection === undefined) {
      listener.onReceiveStatus({ code: statusCodes.unavailable, details: 'not connected', sent: false })
      return noCall
    }
    const call = new UnaryCall(connection, deadlineAt, listener)
    connection.start(call, { path, metadata, deadlineAt, message })
    return call
  }

  startStream(path: string, metadata: CallMetadata, listener: CallListener): ChannelStream {
    const connection = this.#connections.latest
    if (connection === undefined) throw new Error('not connected')
    const stream = new MessageStream(connection, listener)
    connection.start(stream, { path, metadata, deadlineAt: Number.POSITIVE_INFINITY, message: undefined })
    return stream
  }

  replaceConnection(): void {
    this.#connections.replaceConnection()
  }

  close(): void {
    this.#deadlines.stop()
    this.#connections.close()
  }
}

const noCall: ChannelCall = { cancelWithStatus() {} }
