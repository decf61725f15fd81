import { FloodGuard } from './flood-guard.js'
import { flags, frameTypes } from './frame.js'
import type { FrameHandler } from './frame-reader.js'
import type { FrameWriter } from './frame-writer.js'
import { statusCodes } from './grpc-protocol.js'
import { HeaderReader } from './header-reader.js'
import { errorCodes, excessError, frameSizeError, protocolError } from './http2-error.js'
import type { Http2Stream } from './http2-stream.js'
import type { ResponseHeaders } from './response-headers.js'
import type { SendQueue } from './send-queue.js'
import { connectionWindowBytes, type PeerSettings } from './settings.js'
import type { Streams } from './streams.js'

/** Receives the frames that concern the whole connection. */
export interface ControlListener {
  /** The peer's SETTINGS have arrived or changed. */
  onSettings(): void
  /** The peer processes no streams after `lastStreamId`. */
  onGoaway(lastStreamId: number, code: number, text: string): void
  /** The peer has acknowledged a PING. */
  onPong(): void
}

/** With more unsent bytes than this, the connection is closed instead of acknowledging another PING or SETTINGS. */
const maxUnsentBytes = 1_048_576
const maxGoawayTextBytes = 200

/**
 * Checks each frame of a connection against RFC 9113, and dispatches it. A connection error is thrown as an `Http2Error`; a
 * stream error ends the stream.
 */
export class FrameRouter implements FrameHandler {
  readonly #streams: Streams
  readonly #sending: SendQueue
  readonly #writer: FrameWriter
  readonly #peer: PeerSettings
  readonly #listener: ControlListener
  readonly #headers = new HeaderReader()
  readonly #floodGuard = new FloodGuard()
  #hasSettings = false
  /** The stream of the DATA frame that is being received. */
  #receiving: Http2Stream | undefined
  #hasData = false
  /** Bytes received since the last WINDOW_UPDATE of the connection. */
  #unreleasedBytes = 0

  constructor(
    parts: { streams: Streams; sending: SendQueue; writer: FrameWriter; peer: PeerSettings },
    listener: ControlListener,
  ) {
    this.#streams = parts.streams
    this.#sending = parts.sending
    this.#writer = parts.writer
    this.#peer = parts.peer
    this.#listener = listener
  }

  onDataStart(streamId: number, flowBytes: number): void {
    this.#checkOrder(frameTypes.DATA, 0)
    this.#receiving = this.#streamOf('DATA', streamId)
    this.#hasData = false
    this.#unreleasedBytes += flowBytes
    if (this.#unreleasedBytes >= connectionWindowBytes / 2) {
      this.#writer.windowUpdate(0, this.#unreleasedBytes)
      this.#unreleasedBytes = 0
    }
    this.#receiving?.onFlow(flowBytes)
  }

  onData(bytes: Buffer): void {
    this.#hasData = this.#receiving !== undefined
    this.#receiving?.onData(bytes)
  }

  onDataEnd(endsStream: boolean, paddingBytes: number): void {
    if (this.#hasData) this.#floodGuard.reset()
    else this.#floodGuard.countUseless()
    this.#receiving?.onDataEnd(endsStream, paddingBytes)
    this.#receiving = undefined
  }

  onFrame(type: number, frameFlags: number, streamId: number, payload: Buffer): void {
    this.#checkOrder(type, frameFlags)
    switch (type) {
      case frameTypes.HEADERS:
        this.#onHeadersFrame(frameFlags, streamId, payload)
        break
      case frameTypes.CONTINUATION:
        this.#onHeaders(streamId, this.#headers.continue(frameFlags, streamId, payload))
        break
      case frameTypes.WINDOW_UPDATE:
        this.#onWindowUpdate(streamId, payload)
        break
      case frameTypes.RST_STREAM:
        this.#onReset(streamId, payload)
        break
      case frameTypes.SETTINGS:
        this.#onSettings(frameFlags, streamId, payload)
        break
      case frameTypes.PING:
        this.#onPing(frameFlags, streamId, payload)
        break
      case frameTypes.GOAWAY:
        this.#onGoaway(streamId, payload)
        break
      default:
        this.#onOther(type, streamId, payload)
    }
  }

  /** Frames of unknown types and priorities are ignored. */
  #onOther(type: number, streamId: number, payload: Buffer): void {
    this.#floodGuard.countUseless()
    if (type === frameTypes.PUSH_PROMISE) throw protocolError('the peer sent PUSH_PROMISE although pushes are disabled')
    if (type !== frameTypes.PRIORITY) return
    checkLength('PRIORITY', payload, 5)
    if (streamId === 0) throw protocolError('a PRIORITY frame has stream ID 0')
  }

  #checkOrder(type: number, frameFlags: number): void {
    if (!this.#hasSettings && (type !== frameTypes.SETTINGS || (frameFlags & flags.ACK) !== 0)) {
      throw protocolError('the first frame is not SETTINGS')
    }
    if (this.#headers.isOpen && type !== frameTypes.CONTINUATION) {
      throw protocolError('a header block was interrupted by another frame')
    }
  }

  /** The stream of a frame; `undefined` for one that has ended. */
  #streamOf(name: string, streamId: number): Http2Stream | undefined {
    if (streamId === 0) throw protocolError(`a ${name} frame has stream ID 0`)
    const stream = this.#streams.get(streamId)
    if (stream === undefined && this.#streams.isIdle(streamId)) {
      throw protocolError(`a ${name} frame has the ID of stream ${streamId}, which was never opened`)
    }
    return stream
  }

  #onHeadersFrame(frameFlags: number, streamId: number, payload: Buffer): void {
    this.#streamOf('HEADERS', streamId)
    this.#onHeaders(streamId, this.#headers.begin(frameFlags, streamId, payload))
  }

  #onHeaders(streamId: number, head: ResponseHeaders | undefined): void {
    if (head === undefined) return
    const stream = this.#streams.get(streamId)
    // Informational headers (1xx) may be repeated without limit.
    if (stream === undefined || (head.httpStatus !== undefined && head.httpStatus < 200))
      this.#floodGuard.countUseless()
    else this.#floodGuard.reset()
    stream?.onHeaders(head, this.#headers.endsStream)
  }

  #onWindowUpdate(streamId: number, payload: Buffer): void {
    checkLength('WINDOW_UPDATE', payload, 4)
    const bytes = payload.readUInt32BE() & 0x7fff_ffff
    this.#floodGuard.countUseless()
    if (streamId === 0) {
      this.#sending.growConnectionWindow(bytes)
      return
    }
    const stream = this.#streamOf('WINDOW_UPDATE', streamId)
    if (stream === undefined) return
    if (bytes === 0) stream.fail(badStream('a WINDOW_UPDATE has an increment of 0'), errorCodes.PROTOCOL_ERROR)
    else if (!this.#sending.growWindow(stream, bytes)) {
      stream.fail(badStream('the window of the stream overflows'), errorCodes.FLOW_CONTROL_ERROR)
    }
  }

  #onReset(streamId: number, payload: Buffer): void {
    checkLength('RST_STREAM', payload, 4)
    const stream = this.#streamOf('RST_STREAM', streamId)
    this.#floodGuard.countUseless()
    if (stream === undefined) return
    // The peer needs no RST_STREAM in return.
    stream.hasSentEnd = true
    stream.onReset(payload.readUInt32BE())
  }

  #onSettings(frameFlags: number, streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw protocolError('a SETTINGS frame has a stream ID')
    this.#floodGuard.countUseless()
    if ((frameFlags & flags.ACK) !== 0) {
      checkLength('SETTINGS answer', payload, 0)
      return
    }
    this.#hasSettings = true
    this.#peer.apply(payload)
    this.#answer(frameTypes.SETTINGS, Buffer.alloc(0))
    for (const stream of this.#streams.openStreams()) {
      if (!this.#sending.isWindowAllowed(stream)) {
        stream.fail(badStream('the window of the stream overflows'), errorCodes.FLOW_CONTROL_ERROR)
      } else this.#sending.add(stream)
    }
    this.#listener.onSettings()
  }

  #onPing(frameFlags: number, streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw protocolError('a PING frame has a stream ID')
    checkLength('PING', payload, 8)
    this.#floodGuard.countUseless()
    if ((frameFlags & flags.ACK) === 0) this.#answer(frameTypes.PING, payload)
    else this.#listener.onPong()
  }

  #answer(type: number, payload: Buffer): void {
    if (this.#writer.unsentBytes > maxUnsentBytes)
      throw excessError('the peer requests acknowledgements and does not read them')
    this.#writer.frame(type, flags.ACK, 0, payload)
  }

  #onGoaway(streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw protocolError('a GOAWAY frame has a stream ID')
    if (payload.length < 8) throw frameSizeError('a GOAWAY frame is too short')
    const text = payload.toString('latin1', 8, 8 + maxGoawayTextBytes).replace(/[^\x20-\x7e]/g, '?')
    this.#floodGuard.countUseless()
    this.#listener.onGoaway(payload.readUInt32BE() & 0x7fff_ffff, payload.readUInt32BE(4), text)
  }
}

function checkLength(name: string, payload: Buffer, length: number): void {
  if (payload.length !== length) throw frameSizeError(`a ${name} frame has ${payload.length} bytes, not ${length}`)
}

function badStream(what: string): { readonly code: number; readonly details: string } {
  return { code: statusCodes.internal, details: `HTTP/2 protocol error: ${what}` }
}
