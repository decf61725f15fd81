import { defaultMaxFrameBytes, flags, frameHeaderBytes, frameTypes } from './frame.js'
import { frameSizeError, protocolError } from './http2-error.js'

/** What the frames of a connection are for. It may throw an `Http2Error`, which ends the connection. */
export interface FrameHandler {
  /** A frame of any type but DATA, as a whole. The payload may be there during this call only. */
  onFrame(type: number, frameFlags: number, streamId: number, payload: Buffer): void
  /** A DATA frame begins, which takes `flowBytes` of the windows: its payload, padding included. */
  onDataStart(streamId: number, flowBytes: number): void
  /** Bytes of that frame, a view of what was read: they are there during this call only. */
  onData(bytes: Buffer): void
  /** That frame is complete; `paddingBytes` of it were for nothing. */
  onDataEnd(endsStream: boolean, paddingBytes: number): void
}

const { DATA } = frameTypes
const nothing = Buffer.alloc(0)

/**
 * Takes frames out of the bytes of a connection, however these are cut into chunks. The payload of a DATA frame is handed
 * on as it comes; others are kept until they are complete, which takes 16 KiB at most.
 */
export class FrameReader {
  readonly #handler: FrameHandler
  /** The head of a frame that has not come completely, and how much of it is there. */
  readonly #head = Buffer.alloc(frameHeaderBytes)
  #headLength = 0
  #type = 0
  #flags = 0
  #streamId = 0
  /** Bytes of the payload that have not come. */
  #missing = 0
  /** The payload of a frame that is no DATA and has not come completely. */
  #payload: Buffer | undefined
  /** Bytes at the end of a DATA frame that are padding; `undefined` before the byte that says how many. */
  #padding: number | undefined = 0
  #isInFrame = false

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /**
   * Reads the first `length` bytes of `chunk`, which may be used for others afterwards. Throws an `Http2Error`, after which
   * nothing more may be read.
   */
  read(chunk: Buffer, length: number): void {
    for (let at = 0; at < length; ) {
      at = this.#isInFrame ? this.#readPayload(chunk, at, length) : this.#readHead(chunk, at, length)
    }
  }

  /** Reads a head, and the payload if there is none. */
  #readHead(chunk: Buffer, at: number, length: number): number {
    if (this.#headLength === 0 && length - at >= frameHeaderBytes) {
      this.#begin(chunk, at)
      return at + frameHeaderBytes
    }
    const end = Math.min(length, at + frameHeaderBytes - this.#headLength)
    chunk.copy(this.#head, this.#headLength, at, end)
    this.#headLength += end - at
    if (this.#headLength === frameHeaderBytes) {
      this.#headLength = 0
      this.#begin(this.#head, 0)
    }
    return end
  }

  #begin(head: Buffer, at: number): void {
    const length = ((head[at] ?? 0) << 16) | ((head[at + 1] ?? 0) << 8) | (head[at + 2] ?? 0)
    this.#type = head[at + 3] ?? 0
    this.#flags = head[at + 4] ?? 0
    this.#streamId = head.readUInt32BE(at + 5) & 0x7fff_ffff
    if (length > defaultMaxFrameBytes) {
      throw frameSizeError(`a frame of ${length} bytes came, and ${defaultMaxFrameBytes} are allowed`)
    }
    this.#missing = length
    this.#isInFrame = length > 0
    if (this.#type === DATA) this.#beginData(length)
    else if (length === 0) this.#handler.onFrame(this.#type, this.#flags, this.#streamId, nothing)
  }

  #beginData(length: number): void {
    const isPadded = (this.#flags & flags.PADDED) !== 0
    this.#padding = isPadded ? undefined : 0
    if (isPadded && length === 0) throw frameSizeError('a padded frame has no length of its padding')
    this.#handler.onDataStart(this.#streamId, length)
    if (length === 0) this.#endData(0)
  }

  #readPayload(chunk: Buffer, at: number, length: number): number {
    const end = Math.min(length, at + this.#missing)
    if (this.#type === DATA) this.#readData(chunk, at, end)
    else this.#readOther(chunk, at, end)
    return end
  }

  #readData(chunk: Buffer, from: number, end: number): void {
    let at = from
    if (this.#padding === undefined) {
      this.#padding = chunk[at++] ?? 0
      this.#missing -= 1
      if (this.#padding > this.#missing) throw protocolError('a frame has more padding than it has bytes')
    }
    const dataEnd = Math.min(end, at + this.#missing - this.#padding)
    this.#missing -= end - at
    this.#isInFrame = this.#missing > 0
    if (dataEnd > at) this.#handler.onData(chunk.subarray(at, dataEnd))
    if (!this.#isInFrame) this.#endData(this.#padding)
  }

  #endData(padding: number): void {
    const lengthByte = (this.#flags & flags.PADDED) === 0 ? 0 : 1
    this.#handler.onDataEnd((this.#flags & flags.END_STREAM) !== 0, padding + lengthByte)
  }

  #readOther(chunk: Buffer, at: number, end: number): void {
    const isWhole = this.#payload === undefined && end - at === this.#missing
    const payload = isWhole ? chunk.subarray(at, end) : this.#collect(chunk, at, end)
    this.#missing -= end - at
    if (this.#missing > 0) return
    this.#isInFrame = false
    this.#payload = undefined
    this.#handler.onFrame(this.#type, this.#flags, this.#streamId, payload)
  }

  #collect(chunk: Buffer, at: number, end: number): Buffer {
    this.#payload ??= Buffer.allocUnsafe(this.#missing)
    chunk.copy(this.#payload, this.#payload.length - this.#missing, at, end)
    return this.#payload
  }
}
