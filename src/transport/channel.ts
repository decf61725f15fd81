import type { CallMetadata } from './transport.js'

/**
 * What becomes of a channel's connection. `connecting` is told when a connection was lost, or takes no new calls any more;
 * `failed` when one could not be made, and once more when the reason is known.
 */
export type ChannelState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'failed'; readonly reason: string | undefined }

/** How a call ended, as gRPC has it. */
export interface CallStatus {
  readonly code: number
  readonly details: string
  /** `false` where it is certain that the member never took the call up. @default true */
  readonly sent?: boolean
}

/** Who started a call and hears what comes of it: at most one message, then one status, then nothing. */
export interface CallListener {
  onReceiveMetadata(): void
  onReceiveMessage(message: Buffer): void
  onReceiveStatus(status: CallStatus): void
}

/** A call under way. */
export interface ChannelCall {
  /** Ends the call from this side; the member is told to stop. */
  cancelWithStatus(code: number, details: string): void
}

/**
 * What a channel sees of the connection that new calls go over. Plain counters, cheap enough to read for each call, which
 * start anew with each connection. Whoever judges the member compares them from time to time: a transport has no clock for
 * this, and no probe. All are 0 while there is no connection.
 */
export interface Traffic {
  /**
   * Bytes that the socket has read. Whatever they belong to (a part of an answer, a window update, the answer to a ping),
   * the member is alive.
   */
  readonly bytesRead: number
  /**
   * Bytes that wait in this process until the socket takes them, which it does not while the network is slow. As long as
   * they get fewer, the network moves. Those that wait for a window of the member do not count: only the member moves those.
   * 0 where the transport does not know.
   */
  readonly bytesUnsent: number
  /**
   * Streams of HTTP/2, one for each call and each stream, that the member allows at a time (`--max-concurrent-streams`);
   * `Infinity` where that is not known.
   */
  readonly maxStreams: number
}

/** A stream under way. */
export interface ChannelStream {
  /** Asks for one more message; no further one is delivered before. */
  startRead(): void
  /** Sends a message after those before it. `callback` is called when the next one may be sent. */
  sendMessageWithContext(context: { readonly callback: () => void }, message: Buffer): void
  /** No further message is sent. */
  halfClose(): void
  /** Ends the stream from this side; the member is told to stop. */
  cancelWithStatus(code: number, details: string): void
}

/** Carries streams to one member. */
export interface StreamChannel extends Traffic {
  /**
   * Opens a stream without a deadline, as soon as there is a connection where one is being made. `listener` hears one
   * message for each `startRead`, then one status, then nothing.
   */
  startStream(path: string, metadata: CallMetadata, listener: CallListener): ChannelStream
  /** As of `UnaryChannel`. */
  replaceConnection(): void
}

/**
 * Carries unary calls to one member. It keeps one connection for new calls, and comes back by itself, after a backoff,
 * when that is lost; calls under way on the lost one end with a status. A connection that the member asks to leave takes
 * no new calls, and those on it go on, whatever becomes of its successor. Each attempt to connect takes the credentials
 * of the moment and looks the name up anew; after some seconds another one is made beside it (`ConnectAttempts`).
 */
export interface UnaryChannel extends Traffic {
  /** Starts to connect, and keeps at it until closed; each change of state is told from now on. */
  connect(): void
  /** Sends one message. `deadlineAt` is on the clock of `performance.now()`; the member is told of it. */
  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: CallListener,
  ): ChannelCall
  /**
   * The member has been silent for long: opens a second connection beside the one in use. As soon as that is connected, it
   * takes the place of the first, and `connected` is reported again. The first takes no new calls from then on; if it stays
   * silent for another half second, it is closed, and its calls end with a status. Does nothing while there is no
   * connection in use, or a second one is being made. `Reconnector` does all this for any kind of connection.
   */
  replaceConnection(): void
  /** Ends the connection and every call on it. */
  close(): void
}
