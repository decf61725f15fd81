import type { CallStatus } from '../channel.js'
import type { Expiring } from '../deadline-clock.js'
import type { OutgoingBody } from './outgoing-body.js'
import type { RequestInit } from './request-headers.js'
import type { ResponseHeaders } from './response-headers.js'

/** What a stream needs from its connection. */
export interface StreamHost {
  /** The stream has ended for its listener. If `resetCode` is given, the peer is sent a RST_STREAM. */
  streamEnded(stream: Http2Stream, resetCode: number | undefined): void
  /** The stream has a message or its end to send. */
  wantsToSend(stream: Http2Stream): void
  /** The peer may send `bytes` more on the stream. */
  releaseWindow(stream: Http2Stream, bytes: number): void
}

/** One HTTP/2 stream, for a unary call or a stream of messages. */
export abstract class Http2Stream implements Expiring {
  abstract readonly deadlineAt: number
  /** The stream ID; 0 while the stream waits to be opened. */
  id = 0
  /** The send window, relative to the peer's initial window: the sum of its updates less what was sent. May be negative. */
  windowDelta = 0
  /** The unsent messages; `undefined` if there are none. */
  outgoing: OutgoingBody<Http2Stream> | undefined
  /** Whether END_STREAM was sent. */
  hasSentEnd = false
  /** The request that the stream is opened with; `undefined` once it is open. */
  request: RequestInit | undefined

  /** A header block has arrived: informational or initial headers, or trailers. */
  abstract onHeaders(head: ResponseHeaders, endsStream: boolean): void
  /** A DATA frame of `flowBytes` begins. */
  abstract onFlow(flowBytes: number): void
  /** Bytes of the body have arrived. */
  abstract onData(bytes: Buffer): void
  /** A DATA frame has ended; `paddingBytes` of it were padding. */
  abstract onDataEnd(endsStream: boolean, paddingBytes: number): void
  /** The peer has reset the stream. */
  abstract onReset(code: number): void
  /** Ends the stream with a status of this side. If `resetCode` is given, the peer is sent a RST_STREAM. */
  abstract fail(status: CallStatus, resetCode?: number): void
  abstract expire(): void
}
