import type { CallListener, CallStatus, ChannelStream } from '../channel.js'
import { ByteQueue } from './byte-queue.js'
import { statusCodes, statusOfReset } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'
import { Http2Stream, type StreamHost } from './http2-stream.js'
import { MessageAssembler } from './message-assembler.js'
import { OutgoingBody } from './outgoing-body.js'
import type { ResponseHeaders } from './response-headers.js'
import { ResponseState } from './response-state.js'
import { streamWindowBytes } from './settings.js'

const overWindow: CallStatus = {
  code: statusCodes.internal,
  details: 'HTTP/2 FLOW_CONTROL_ERROR: more bytes came on a stream than its window allows',
}
const noHeaders: CallStatus = {
  code: statusCodes.internal,
  details: 'HTTP/2 PROTOCOL_ERROR: the data of the answer came before its headers',
}
const cutShort: CallStatus = { code: statusCodes.internal, details: 'the answer ended within a message' }

/**
 * Any number of messages each way. The peer gets back of the stream's window what the reader has taken: one that reads
 * nothing holds the peer back as soon as the window is full.
 */
export class MessageStream extends Http2Stream implements ChannelStream {
  /** It keeps the process open, and never expires. */
  readonly deadlineAt = Number.POSITIVE_INFINITY
  readonly #host: StreamHost
  #listener: CallListener | undefined
  readonly #response = new ResponseState()
  readonly #assembler = new MessageAssembler()
  /** What has come and was not asked for. */
  readonly #queue = new ByteQueue()
  #isReading = false
  #isDelivering = false
  /** The status, where all but the messages in the queue has come. */
  #end: CallStatus | undefined
  /** What the peer has used of the window, and how much of that is to be given back. */
  #usedBytes = 0
  #freeBytes = 0

  constructor(host: StreamHost, listener: CallListener) {
    super()
    this.#host = host
    this.#listener = listener
  }

  startRead(): void {
    this.#isReading = true
    // Never from within the reader's own call.
    if (!this.#isDelivering && (this.#queue.bytes > 0 || this.#end !== undefined))
      process.nextTick(() => this.#deliver())
  }

  sendMessageWithContext({ callback }: { readonly callback?: (() => void) | undefined }, message: Buffer): void {
    if (this.#listener === undefined) return
    this.outgoing ??= new OutgoingBody<Http2Stream>(this)
    this.outgoing.push(message, callback)
    this.#host.wantsToSend(this)
  }

  halfClose(): void {
    if (this.#listener === undefined || this.hasSentEnd) return
    this.outgoing ??= new OutgoingBody<Http2Stream>(this)
    this.outgoing.end()
    this.#host.wantsToSend(this)
  }

  cancelWithStatus(): void {
    this.#detach(errorCodes.CANCEL)
  }

  expire(): void {}

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
    this.#usedBytes += flowBytes
    if (this.#usedBytes > streamWindowBytes) this.fail(overWindow, errorCodes.FLOW_CONTROL_ERROR)
  }

  onData(bytes: Buffer): void {
    if (this.#listener === undefined) return
    if (!this.#response.hasHeaders) {
      this.fail(noHeaders, errorCodes.PROTOCOL_ERROR)
      return
    }
    const taken = this.#queue.bytes === 0 ? this.#feed(bytes) : 0
    if (taken < bytes.length) this.#queue.push(bytes.subarray(taken))
  }

  onDataEnd(endsStream: boolean, paddingBytes: number): void {
    this.#release(paddingBytes)
    if (endsStream) this.#finish(this.#response.statusWithoutTrailers())
  }

  onReset(code: number): void {
    this.fail(code === errorCodes.NO_ERROR ? this.#response.statusWithoutTrailers() : statusOfReset(code))
  }

  /** An error is reported at once. The end of all messages comes after them. */
  #finish(status: CallStatus): void {
    if (status.code !== statusCodes.ok) this.fail(status)
    else if (this.#listener !== undefined) {
      this.#end = status
      // What becomes of the connection from now on does not matter to what is in the queue.
      this.#host.streamEnded(this, undefined)
      this.#deliver()
    }
  }

  #deliver(): void {
    while (this.#isReading && this.#listener !== undefined) {
      const chunk = this.#queue.first()
      if (chunk === undefined) break
      this.#queue.drop(this.#feed(chunk))
    }
    if (this.#end === undefined || this.#queue.bytes > 0) return
    this.fail(this.#assembler.isWithinMessage ? cutShort : this.#end)
  }

  /** Hands on messages as long as the reader asks for more. Returns how much of the chunk was used up. */
  #feed(chunk: Buffer): number {
    let at = 0
    this.#isDelivering = true
    while (at < chunk.length && this.#isReading && this.#listener !== undefined) {
      const end = this.#assemble(chunk, at)
      this.#release(end - at)
      at = end
      const message = this.#assembler.take()
      if (message === undefined) continue
      this.#isReading = false
      this.#listener.onReceiveMessage(message)
    }
    this.#isDelivering = false
    return at
  }

  #assemble(chunk: Buffer, at: number): number {
    try {
      return this.#assembler.push(chunk, at)
    } catch (error) {
      const details = error instanceof Error ? error.message : String(error)
      this.fail({ code: statusCodes.internal, details }, errorCodes.CANCEL)
      return chunk.length
    }
  }

  #release(bytes: number): void {
    this.#freeBytes += bytes
    if (this.#freeBytes < streamWindowBytes / 2 || this.#end !== undefined) return
    this.#usedBytes -= this.#freeBytes
    this.#host.releaseWindow(this, this.#freeBytes)
    this.#freeBytes = 0
  }

  #detach(resetCode: number | undefined): void {
    if (this.#listener === undefined) return
    this.#listener = undefined
    if (this.#end === undefined) this.#host.streamEnded(this, resetCode)
  }
}
