import type { CallListener, CallStatus, ChannelCall } from '../channel.js'
import { statusCodes } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'
import type { StreamHost } from './http2-stream.js'
import { MessageAssembler, wholeMessage } from './message-assembler.js'
import { cutShort, noHeaders, ResponseStream } from './response-stream.js'
import { streamWindowBytes } from './settings.js'

const twoMessages: CallStatus = { code: statusCodes.internal, details: 'the response has more than one message' }

/** A unary call. The response is consumed as it arrives, so that its window never fills up. */
export class UnaryCall extends ResponseStream implements ChannelCall {
  readonly deadlineAt: number
  #message: Buffer | undefined
  /** Set if the message arrives in more than one piece. */
  #assembler: MessageAssembler | undefined
  /** Bytes received since the last WINDOW_UPDATE. */
  #unreleasedBytes = 0

  constructor(host: StreamHost, deadlineAt: number, listener: CallListener) {
    super(host, listener)
    this.deadlineAt = deadlineAt
  }

  expire(): void {
    const status = { code: statusCodes.deadlineExceeded, details: 'Deadline exceeded', sent: this.id !== 0 }
    this.fail(status, errorCodes.CANCEL)
  }

  onFlow(flowBytes: number): void {
    this.#unreleasedBytes += flowBytes
    if (this.#unreleasedBytes < streamWindowBytes / 2) return
    this.host.releaseWindow(this, this.#unreleasedBytes)
    this.#unreleasedBytes = 0
  }

  onData(bytes: Buffer): void {
    if (this.listener === undefined) return
    if (!this.response.hasHeaders) this.fail(noHeaders, errorCodes.PROTOCOL_ERROR)
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
    if (endsStream && this.listener !== undefined) this.fail(this.response.statusWithoutTrailers())
  }

  #assemble(assembler: MessageAssembler, bytes: Buffer): void {
    try {
      const end = assembler.push(bytes, 0)
      this.#message = assembler.take()
      // A unary response ends after one message.
      if (end < bytes.length) this.fail(twoMessages, errorCodes.CANCEL)
    } catch (error) {
      this.failAssembly(error)
    }
  }

  protected finish(status: CallStatus): void {
    const listener = this.listener
    const message = this.#message
    if (status.code !== statusCodes.ok || message === undefined) {
      this.fail(this.#assembler?.isWithinMessage === true && status.code === statusCodes.ok ? cutShort : status)
      return
    }
    this.detach(undefined)
    listener?.onReceiveMessage(message)
    listener?.onReceiveStatus(status)
  }
}
