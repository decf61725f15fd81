import type { CallListener, ChannelState, StreamChannel, UnaryChannel } from '../channel.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { Reconnector } from '../reconnector.js'
import type { CallMetadata } from '../transport.js'
import { type GrpcCall, GrpcConnection } from './grpc-connection.js'
import { type GrpcJs, loadedGrpcJs, loadGrpcJs } from './grpc-js.js'

/**
 * Unary calls and streams over grpc-js. `connect` loads the module; calls and streams may be started once it has reported
 * `connected`.
 */
export class GrpcChannel implements UnaryChannel, StreamChannel {
  readonly bytesUnsent = 0
  readonly #connections: Reconnector<GrpcConnection>
  readonly #onState: (state: ChannelState) => void
  #grpc: GrpcJs | undefined
  #isClosed = false

  constructor(
    endpoint: Endpoint,
    credentials: () => Credentials,
    settings: ChannelSettings,
    onState: (state: ChannelState) => void,
  ) {
    this.#onState = onState
    this.#connections = new Reconnector((listener) => {
      if (this.#grpc === undefined) throw new Error('@grpc/grpc-js is not loaded')
      return new GrpcConnection(this.#grpc, { endpoint, credentials: credentials(), settings }, listener)
    }, onState)
  }

  get bytesRead(): number {
    return this.#connections.connected?.bytesRead ?? 0
  }

  get maxStreams(): number {
    return this.#connections.connected?.maxStreams ?? Number.POSITIVE_INFINITY
  }

  connect(): void {
    const grpc = loadedGrpcJs()
    if (grpc === undefined) void loadGrpcJs().then((module) => this.#connect(module), this.#onNotLoaded)
    else this.#connect(grpc)
  }

  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: CallListener,
  ): GrpcCall {
    return this.#connection().startUnary(path, message, metadata, deadlineAt, listener)
  }

  startStream(path: string, metadata: CallMetadata, listener: CallListener): GrpcCall {
    return this.#connection().startStream(path, metadata, listener)
  }

  replaceConnection(): void {
    this.#connections.replaceConnection()
  }

  close(): void {
    this.#isClosed = true
    this.#connections.close()
  }

  #connect(grpc: GrpcJs): void {
    this.#grpc = grpc
    if (!this.#isClosed) this.#connections.connect()
  }

  readonly #onNotLoaded = (error: unknown): void => {
    // Node appends the files that required the module.
    const [reason] = String(error).split('\n')
    if (!this.#isClosed) this.#onState({ kind: 'failed', reason: `@grpc/grpc-js cannot be loaded: ${reason}` })
  }

  /** Calls wait while the connection is being established. */
  #connection(): GrpcConnection {
    const connection = this.#connections.latest
    if (connection === undefined) throw new Error('not connected')
    return connection
  }
}
