import type { CallListener, CallStatus, ChannelCall } from '../channel.js'
import { statusCodes, statusOfReset } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'
import { Http2Stream, type StreamHost } from './http2-stream.js'
import { MessageAssembler, wholeMessage } from './message-assembler.js'
import type { ResponseHeaders } from './response-headers.js'
import { ResponseState } from './response-state.js'
import { streamWindowBytes } from './settings.js'

const twoMessages: CallStatus = { code: statusCodes.internal, details: 'the response has more than one message' }
const noHeaders: CallStatus = {
  code: statusCodes.internal,
  details: 'HTTP/2 PROTOCOL_ERROR: the response has data before its headers',
}

/** A unary call. The response is consumed as it arrives, so that its window never fills up. */
export class UnaryCall extends Http2Stream implements ChannelCall {
  readonly deadlineAt: number
  readonly #host: StreamHost
  readonly #response = new ResponseState()
  #listener: CallListener | undefined
  #message: Buffer | undefined
  /** Set if the message arrives in more than one piece. */
  #assembler: MessageAssembler | undefined
  /** Bytes received since the last WINDOW_UPDATE. */
  #unreleasedBytes = 0

  constructor(host: StreamHost, deadlineAt: number, listener: CallListener) {
    super()
    this.#host = host
    this.deadlineAt = deadlineAt
    this.#listener = listener
  }

  cancelWithStatus(): void {
    if (this.#listener !== undefined) this.#detach(errorCodes.CANCEL)
  }

  expire(): void {
    const status = { code: statusCodes.deadlineExceeded, details: 'Deadline exceeded', sent: this.id !== 0 }
    this.fail(status, errorCodes.CANCEL)
  }

  fail(status: CallStatus, resetCode?: number): void {
    const listener = this.#listener
    this.#detach(resetCode)
    listener?.onReceiveStatus(status)
  }

  onHeaders(head: ResponseHeaders, endsStream: boolean): void {
    const verdict = this.#response.next(head, endsStream)
    if (verdict.kind === 'end') this.#finish(verdict.status)
    else if (verdict.kind === 'refuse') this.fail(verdict.status, endsStream ? undefined : verdict.resetCode)
  }

  onFlow(flowBytes: number): void {
    this.#unreleasedBytes += flowBytes
    if (this.#unreleasedBytes < streamWindowBytes / 2) return
    this.#host.releaseWindow(this, this.#unreleasedBytes)
    this.#unreleasedBytes = 0
  }

  onData(bytes: Buffer): void {
    if (this.#listener === undefined) return
    if (!this.#response.hasHeaders) this.fail(noHeaders, errorCodes.PROTOCOL_ERROR)
    else if (this.#message !== undefined) this.fail(twoMessages, errorCodes.CANCEL)
    else if (this.#assembler !== undefined) this.#assemble(this.#assembler, bytes)
    else {
      this.#message = wholeMessage(bytes)
      if (this.#message !== undefined) return
      this.#assembler = new MessageAssembler()
      this.#assemble(this.#assembler, bytes)
    }
  }

  onDataEnd(endsStream: boolean): void {
    if (endsStream && this.#listener !== undefined) this.fail(this.#response.statusWithoutTrailers())
  }

  onReset(code: number): void {
    this.fail(code === errorCodes.NO_ERROR ? this.#response.statusWithoutTrailers() : statusOfReset(code))
  }

  #assemble(assembler: MessageAssembler, bytes: Buffer): void {
    try {
      const end = assembler.push(bytes, 0)
      this.#message = assembler.take()
      // A unary response ends after one message.
      if (end < bytes.length) this.fail(twoMessages, errorCodes.CANCEL)
    } catch (error) {
      this.fail({ code: statusCodes.internal, details: textOf(error) }, errorCodes.CANCEL)
    }
  }

  #finish(status: CallStatus): void {
    const listener = this.#listener
    const message = this.#message
    if (status.code !== statusCodes.ok || message === undefined) {
      this.fail(this.#assembler?.isWithinMessage === true && status.code === statusCodes.ok ? cutShort : status)
      return
    }
    this.#detach(undefined)
    listener?.onReceiveMessage(message)
    listener?.onReceiveStatus(status)
  }

  #detach(resetCode: number | undefined): void {
    if (this.#listener === undefined) return
    this.#listener = undefined
    this.#host.streamEnded(this, resetCode)
  }
}

const cutShort: CallStatus = { code: statusCodes.internal, details: 'the response ended within a message' }

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
