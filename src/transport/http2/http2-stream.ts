import type { CallStatus } from '../channel.js'
import type { Expiring } from '../deadline-clock.js'
import type { OutgoingBody } from './outgoing-body.js'
import type { RequestInit } from './request-headers.js'
import type { ResponseHeaders } from './response-headers.js'

/** What a stream needs from its connection. */
export interface StreamHost {
  /** The stream is over for its listener; `resetCode` is sent to the peer where it does not know. */
  streamEnded(stream: Http2Stream, resetCode: number | undefined): void
  /** The stream has more to send, or its end. */
  wantsToSend(stream: Http2Stream): void
  /** The peer may send `bytes` more on the stream. */
  releaseWindow(stream: Http2Stream, bytes: number): void
}

/** One call of gRPC, as the connection that carries it knows it. */
export abstract class Http2Stream implements Expiring {
  abstract readonly deadlineAt: number
  /** 0 as long as it waits to be opened. */
  id = 0
  /** With the peer's initial window, what may be sent: what its updates gave, less what was sent. May be below zero. */
  windowDelta = 0
  /** What is to be sent and is not, or not completely; `undefined` for nothing. */
  outgoing: OutgoingBody<Http2Stream> | undefined
  /** Whether nothing more will be sent on it. */
  hasSentEnd = false
  /** What it is opened with; dropped then. */
  request: RequestInit | undefined

  /** The first headers have come, or some for information only, or the trailers. */
  abstract onHeaders(head: ResponseHeaders, endsStream: boolean): void
  /** A frame of `flowBytes` begins. */
  abstract onFlow(flowBytes: number): void
  /** Bytes of its body have come. */
  abstract onData(bytes: Buffer): void
  /** A frame has ended, with `paddingBytes` that were for nothing. */
  abstract onDataEnd(endsStream: boolean, paddingBytes: number): void
  /** The peer has reset it. */
  abstract onReset(code: number): void
  /** Ends it with a status that this side has found. `resetCode`, if given, is sent to the peer. */
  abstract fail(status: CallStatus, resetCode?: number): void
  abstract expire(): void
}
