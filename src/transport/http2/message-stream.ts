import type { CallListener, CallStatus, ChannelStream } from '../channel.js'
import { ByteQueue } from './byte-queue.js'
import { statusCodes } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'
import type { Http2Stream, StreamHost } from './http2-stream.js'
import { MessageAssembler } from './message-assembler.js'
import { OutgoingBody } from './outgoing-body.js'
import { cutShort, noHeaders, ResponseStream } from './response-stream.js'
import { streamWindowBytes } from './settings.js'

const overWindow: CallStatus = {
  code: statusCodes.internal,
  details: 'HTTP/2 FLOW_CONTROL_ERROR: the peer exceeded the window of a stream',
}
/**
 * A bidirectional stream of messages. The stream's window is released as messages are read, so that a reader that pauses stops
 * the peer when the window is full.
 */
export class MessageStream extends ResponseStream implements ChannelStream {
  /** An open stream holds the process open, and never expires. */
  readonly deadlineAt = Number.POSITIVE_INFINITY
  readonly #assembler = new MessageAssembler()
  /** Received bytes that were not requested yet. */
  readonly #queue = new ByteQueue()
  #isReading = false
  #isDelivering = false
  /** The final status, while messages are left in the queue. */
  #end: CallStatus | undefined
  /** The used bytes of the window, and how many of them are released with the next WINDOW_UPDATE. */
  #usedBytes = 0
  #freeBytes = 0

  constructor(host: StreamHost, listener: CallListener) {
    super(host, listener)
  }

  startRead(): void {
    this.#isReading = true
    // Never synchronously: the reader may call this from its own handler.
    if (!this.#isDelivering && (this.#queue.bytes > 0 || this.#end !== undefined))
      process.nextTick(() => this.#deliver())
  }

  sendMessageWithContext({ callback }: { readonly callback?: (() => void) | undefined }, message: Buffer): void {
    if (this.listener === undefined) return
    this.outgoing ??= new OutgoingBody<Http2Stream>(this)
    this.outgoing.push(message, callback)
    this.host.wantsToSend(this)
  }

  halfClose(): void {
    if (this.listener === undefined || this.hasSentEnd) return
    this.outgoing ??= new OutgoingBody<Http2Stream>(this)
    this.outgoing.end()
    this.host.wantsToSend(this)
  }

  expire(): void {}

  onFlow(flowBytes: number): void {
    this.#usedBytes += flowBytes
    if (this.#usedBytes > streamWindowBytes) this.fail(overWindow, errorCodes.FLOW_CONTROL_ERROR)
  }

  onData(bytes: Buffer): void {
    if (this.listener === undefined) return
    if (!this.response.hasHeaders) {
      this.fail(noHeaders, errorCodes.PROTOCOL_ERROR)
      return
    }
    const taken = this.#queue.bytes === 0 ? this.#feed(bytes) : 0
    if (taken < bytes.length) this.#queue.push(bytes.subarray(taken))
  }

  onDataEnd(endsStream: boolean, paddingBytes: number): void {
    this.#release(paddingBytes)
    if (endsStream) this.finish(this.response.statusWithoutTrailers())
  }

  /** An error is reported at once. A regular end is reported after the messages in the queue. */
  protected finish(status: CallStatus): void {
    if (status.code !== statusCodes.ok) this.fail(status)
    else if (this.listener !== undefined) {
      this.#end = status
      // The loss of the connection no longer affects what is in the queue.
      this.host.streamEnded(this, undefined)
      this.#deliver()
    }
  }

  #deliver(): void {
    while (this.#isReading && this.listener !== undefined) {
      const chunk = this.#queue.first()
      if (chunk === undefined) break
      this.#queue.drop(this.#feed(chunk))
    }
    if (this.#end === undefined || this.#queue.bytes > 0) return
    this.fail(this.#assembler.isWithinMessage ? cutShort : this.#end)
  }

  /** Delivers messages while the reader requests them. Returns how many bytes of the chunk were consumed. */
  #feed(chunk: Buffer): number {
    let at = 0
    this.#isDelivering = true
    while (at < chunk.length && this.#isReading && this.listener !== undefined) {
      const end = this.#assemble(chunk, at)
      this.#release(end - at)
      at = end
      const message = this.#assembler.take()
      if (message === undefined) continue
      this.#isReading = false
      this.listener.onReceiveMessage(message)
    }
    this.#isDelivering = false
    return at
  }

  #assemble(chunk: Buffer, at: number): number {
    try {
      return this.#assembler.push(chunk, at)
    } catch (error) {
      this.failAssembly(error)
      return chunk.length
    }
  }

  #release(bytes: number): void {
    this.#freeBytes += bytes
    if (this.#freeBytes < streamWindowBytes / 2 || this.#end !== undefined) return
    this.#usedBytes -= this.#freeBytes
    this.host.releaseWindow(this, this.#freeBytes)
    this.#freeBytes = 0
  }

  /** A stream whose regular end was received is over for its connection already. */
  protected override detach(resetCode: number | undefined): void {
    if (this.#end === undefined) super.detach(resetCode)
    else this.listener = undefined
  }
}
