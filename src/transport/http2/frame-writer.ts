import type { Socket } from 'node:net'
import { defaultMaxFrameBytes, flags, frameHeaderBytes, frameTypes } from './frame.js'
import { messagePrefixBytes } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'

/** The size of the buffers in which frames are assembled; of the first one, which is enough for an idle client. */
const slabBytes = 65_536
const firstSlabBytes = 4096
/** Payloads from this size on are passed to the socket without copying them. */
const minViewBytes = 8192

const settled = Promise.resolve()

/**
 * Collects the frames of a tick, in order, and writes them to the socket at once: with a thousand calls in flight, one system
 * call sends hundreds of them.
 *
 * They are written after the promises that the tick has settled were handled. A member sends a PING beside most responses:
 * its acknowledgement leaves together with the next calls of the callers that waited for the responses.
 */
export class FrameWriter {
  readonly #socket: Socket
  readonly #onFlushed: () => void
  readonly #flushBound = (): void => this.flush()
  readonly #flushAfterPromises = (): void => process.nextTick(this.#flushBound)
  /** What was written before `#slab.subarray(#from, #at)`. */
  #pieces: Buffer[] = []
  #piecesBytes = 0
  #slab = Buffer.allocUnsafeSlow(firstSlabBytes)
  #from = 0
  #at = 0
  #isScheduled = false

  /** `onFlushed` is called whenever the collected frames were passed to the socket. */
  constructor(socket: Socket, onFlushed: () => void) {
    this.#socket = socket
    this.#onFlushed = onFlushed
  }

  /** Bytes that the operating system has not accepted yet. */
  get unsentBytes(): number {
    return this.#collectedBytes + this.#socket.writableLength
  }

  get #collectedBytes(): number {
    return this.#piecesBytes + this.#at - this.#from
  }

  /** The HEADERS of a unary call and its message, which fits into one DATA frame. */
  call(streamId: number, block: Buffer, message: Buffer): void {
    this.headers(streamId, block, false)
    this.#reserve(frameHeaderBytes + messagePrefixBytes + copiedBytes(message))
    this.#head(messagePrefixBytes + message.length, frameTypes.DATA, flags.END_STREAM, streamId)
    this.#slab[this.#at++] = 0
    this.#uint32(message.length)
    this.#payload(message)
  }

  /** A DATA frame, with the unsent rest of its message's prefix. */
  data(streamId: number, endsStream: boolean, prefix: Buffer, bytes: Buffer): void {
    this.#reserve(frameHeaderBytes + prefix.length + copiedBytes(bytes))
    this.#head(prefix.length + bytes.length, frameTypes.DATA, endsStream ? flags.END_STREAM : 0, streamId)
    this.#copy(prefix)
    this.#payload(bytes)
  }

  /** A header block, as HEADERS and CONTINUATION frames. */
  headers(streamId: number, block: Buffer, endsStream: boolean): void {
    const end = endsStream ? flags.END_STREAM : 0
    if (block.length <= defaultMaxFrameBytes) {
      this.#reserve(frameHeaderBytes + block.length)
      this.#head(block.length, frameTypes.HEADERS, flags.END_HEADERS | end, streamId)
      this.#copy(block)
      return
    }
    for (let at = 0; at < block.length; at += defaultMaxFrameBytes) {
      const part = block.subarray(at, at + defaultMaxFrameBytes)
      const type = at === 0 ? frameTypes.HEADERS : frameTypes.CONTINUATION
      const last = at + part.length === block.length ? flags.END_HEADERS : 0
      this.frame(type, last | (at === 0 ? end : 0), streamId, part)
    }
  }

  /** A frame of any type. */
  frame(type: number, frameFlags: number, streamId: number, payload: Buffer): void {
    this.#reserve(frameHeaderBytes + copiedBytes(payload))
    this.#head(payload.length, type, frameFlags, streamId)
    this.#payload(payload)
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.#control(frameTypes.WINDOW_UPDATE, streamId, bytes)
  }

  resetStream(streamId: number, code: number = errorCodes.CANCEL): void {
    this.#control(frameTypes.RST_STREAM, streamId, code)
  }

  /** Bytes that are not a frame: the preface. */
  raw(bytes: Buffer): void {
    this.#reserve(bytes.length)
    this.#copy(bytes)
  }

  /** Writes the collected frames to the socket now. */
  flush(): void {
    this.#isScheduled = false
    if (this.#collectedBytes === 0) return
    if (!this.#socket.writable) {
      this.#forget()
      return
    }
    if (this.#pieces.length === 0) this.#socket.write(this.#slab.subarray(this.#from, this.#at))
    else this.#writePieces()
    this.#forget()
    this.#onFlushed()
  }

  #writePieces(): void {
    this.#seal()
    this.#socket.cork()
    for (const piece of this.#pieces) this.#socket.write(piece)
    this.#socket.uncork()
  }

  /** Reuses the slab if the operating system has read all of it. */
  #forget(): void {
    if (this.#socket.writableLength === 0) this.#at = 0
    this.#from = this.#at
    this.#pieces = []
    this.#piecesBytes = 0
  }

  #reserve(bytes: number): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true
      void settled.then(this.#flushAfterPromises)
    }
    if (this.#slab.length - this.#at >= bytes) return
    this.#seal()
    this.#slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytes))
    this.#from = 0
    this.#at = 0
  }

  /** Makes a piece of what was written to the slab. */
  #seal(): void {
    if (this.#at === this.#from) return
    this.#pieces.push(this.#slab.subarray(this.#from, this.#at))
    this.#piecesBytes += this.#at - this.#from
    this.#from = this.#at
  }

  #head(length: number, type: number, frameFlags: number, streamId: number): void {
    const slab = this.#slab
    const at = this.#at
    slab[at] = length >>> 16
    slab[at + 1] = length >>> 8
    slab[at + 2] = length
    slab[at + 3] = type
    slab[at + 4] = frameFlags
    this.#at = at + 5
    this.#uint32(streamId)
  }

  #uint32(value: number): void {
    const slab = this.#slab
    const at = this.#at
    slab[at] = value >>> 24
    slab[at + 1] = value >>> 16
    slab[at + 2] = value >>> 8
    slab[at + 3] = value
    this.#at = at + 4
  }

  #copy(bytes: Buffer): void {
    this.#slab.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #payload(bytes: Buffer): void {
    if (bytes.length < minViewBytes) {
      this.#copy(bytes)
      return
    }
    this.#seal()
    this.#pieces.push(bytes)
    this.#piecesBytes += bytes.length
  }

  #control(type: number, streamId: number, value: number): void {
    this.#reserve(frameHeaderBytes + 4)
    this.#head(4, type, 0, streamId)
    this.#uint32(value)
  }
}

function copiedBytes(payload: Buffer): number {
  return payload.length < minViewBytes ? payload.length : 0
}
