import type { CallListener, CallStatus } from '../channel.js'
import { statusCodes, statusOfReset } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'
import { Http2Stream, type StreamHost } from './http2-stream.js'
import type { ResponseHeaders } from './response-headers.js'
import { ResponseState } from './response-state.js'

export const noHeaders: CallStatus = {
  code: statusCodes.internal,
  details: 'HTTP/2 PROTOCOL_ERROR: the response has data before its headers',
}
export const cutShort: CallStatus = { code: statusCodes.internal, details: 'the response ended within a message' }

/** A stream that reports the response to a listener: headers and resets end alike for calls and for streams of messages. */
export abstract class ResponseStream extends Http2Stream {
  protected readonly host: StreamHost
  protected readonly response = new ResponseState()
  /** `undefined` once the stream is over: nothing is reported any more. */
  protected listener: CallListener | undefined

  constructor(host: StreamHost, listener: CallListener) {
    super()
    this.host = host
    this.listener = listener
  }

  cancelWithStatus(): void {
    this.detach(errorCodes.CANCEL)
  }

  fail(status: CallStatus, resetCode?: number): void {
    const { listener } = this
    this.detach(resetCode)
    listener?.onReceiveStatus(status)
  }

  onHeaders(head: ResponseHeaders, endsStream: boolean): void {
    const verdict = this.response.next(head, endsStream)
    if (verdict.kind === 'end') this.finish(verdict.status)
    else if (verdict.kind === 'refuse') this.fail(verdict.status, endsStream ? undefined : verdict.resetCode)
  }

  onReset(code: number): void {
    this.fail(code === errorCodes.NO_ERROR ? this.response.statusWithoutTrailers() : statusOfReset(code))
  }

  /** A message that cannot be assembled ends the stream. */
  protected failAssembly(error: unknown): void {
    const details = error instanceof Error ? error.message : String(error)
    this.fail({ code: statusCodes.internal, details }, errorCodes.CANCEL)
  }

  /** Ends the stream for its connection, and lets go of the listener. */
  protected detach(resetCode: number | undefined): void {
    if (this.listener === undefined) return
    this.listener = undefined
    this.host.streamEnded(this, resetCode)
  }

  /** The response has ended with this status. */
  protected abstract finish(status: CallStatus): void
}
