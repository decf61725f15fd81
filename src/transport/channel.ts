import type { CallMetadata } from './transport.js'

/**
 * The state of a channel. It is `connecting` when its connection was lost or drains, and `failed` when a connection could not
 * be established; `failed` is reported again when the reason is known.
 */
export type ChannelState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'failed'; readonly reason: string | undefined }

/** The gRPC status of a call. */
export interface CallStatus {
  readonly code: number
  readonly details: string
  /** `false` if the member has certainly not processed the call. @default true */
  readonly sent?: boolean
}

/** Receives the events of a call: its messages, then one status, then nothing. */
export interface CallListener {
  onReceiveMetadata(): void
  onReceiveMessage(message: Buffer): void
  onReceiveStatus(status: CallStatus): void
}

/** A call in flight. */
export interface ChannelCall {
  /** Cancels the call, and resets its stream. */
  cancelWithStatus(code: number, details: string): void
}

/**
 * Counters of the connection for new calls, from which liveness is judged. They are cheap enough to read for each call, restart
 * with each connection, and are 0 while there is none.
 */
export interface Traffic {
  /** Bytes received. Any of them, be it a part of a response, a window update or the response to a ping, shows that the member is alive. */
  readonly bytesRead: number
  /**
   * Bytes in this process that the socket has not accepted. While they decrease, the network makes progress. Bytes that wait for
   * a flow-control window of the member are not included. 0 where the transport does not know.
   */
  readonly bytesUnsent: number
  /** Concurrent HTTP/2 streams that the member allows (`--max-concurrent-streams`); `Infinity` if unknown. */
  readonly maxStreams: number
}

/** An open stream. */
export interface ChannelStream {
  /** Requests one message. None is delivered without a request. */
  startRead(): void
  /** Sends a message. `callback` is called when the next one may be sent. */
  sendMessageWithContext(context: { readonly callback: () => void }, message: Buffer): void
  /** No further message is sent. */
  halfClose(): void
  /** Cancels the stream, and resets it. */
  cancelWithStatus(code: number, details: string): void
}

/** Carries streams to one member. */
export interface StreamChannel extends Traffic {
  /**
   * Opens a stream without a deadline; it waits while the channel connects. `listener` receives one message for each `startRead`.
   */
  startStream(path: string, metadata: CallMetadata, listener: CallListener): ChannelStream
  /** See `UnaryChannel`. */
  replaceConnection(): void
}

/**
 * Carries unary calls to one member over one connection. A lost connection is replaced after a backoff, and calls in flight on it
 * end with a status. A connection that the member drains (GOAWAY) accepts no new calls, and those on it may finish. Each attempt
 * to connect resolves the name and uses the current credentials; a slow one is hedged (`ConnectAttempts`).
 */
export interface UnaryChannel extends Traffic {
  /** Connects, and stays connected until closed. Each change of state is reported from now on. */
  connect(): void
  /** Starts a call of one message. `deadlineAt` is on the clock of `performance.now()`, and is sent to the member. */
  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: CallListener,
  ): ChannelCall
  /**
   * Opens a second connection beside a silent one. As soon as it is established, it replaces the first, and `connected` is
   * reported again. The first accepts no new calls; if it stays silent for another half second, it is closed, and its calls end
   * with a status. Does nothing without an established connection, or while a second one is being opened. `Reconnector`
   * implements this for any kind of connection.
   */
  replaceConnection(): void
  /** Closes the connection, and fails every call on it. */
  close(): void
}
