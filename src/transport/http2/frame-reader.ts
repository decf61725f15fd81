import { defaultMaxFrameBytes, flags, frameHeaderBytes, frameTypes } from './frame.js'
import { frameSizeError, protocolError } from './http2-error.js'

/** Receives the frames of a connection. It may throw an `Http2Error`, which closes the connection. */
export interface FrameHandler {
  /** A complete frame of any type but DATA. The payload is valid during the call only. */
  onFrame(type: number, frameFlags: number, streamId: number, payload: Buffer): void
  /** A DATA frame begins. `flowBytes` count against the flow-control windows: the payload with its padding. */
  onDataStart(streamId: number, flowBytes: number): void
  /** Bytes of the DATA frame, a view that is valid during the call only. */
  onData(bytes: Buffer): void
  /** The DATA frame is complete; `paddingBytes` of it were padding. */
  onDataEnd(endsStream: boolean, paddingBytes: number): void
}

const { DATA } = frameTypes
const nothing = Buffer.alloc(0)

/**
 * Parses frames from the bytes of a connection, however they are split into chunks. The payload of a DATA frame is passed on as
 * it arrives; other frames are buffered until they are complete, up to 16 KiB.
 */
export class FrameReader {
  readonly #handler: FrameHandler
  /** An incomplete frame header, and how many bytes of it have arrived. */
  readonly #head = Buffer.alloc(frameHeaderBytes)
  #headLength = 0
  #type = 0
  #flags = 0
  #streamId = 0
  /** Bytes of the payload that have not arrived yet. */
  #missing = 0
  /** The incomplete payload of a frame other than DATA. */
  #payload: Buffer | undefined
  /** The padding at the end of a DATA frame; `undefined` until its length byte has arrived. */
  #padding: number | undefined = 0
  #isInFrame = false

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /** Reads the first `length` bytes of `chunk`, which may be reused afterwards. Nothing may be read after it has thrown an `Http2Error`. */
  read(chunk: Buffer, length: number): void {
    for (let at = 0; at < length; ) {
      at = this.#isInFrame ? this.#readPayload(chunk, at, length) : this.#readHead(chunk, at, length)
    }
  }

  /** Reads a frame header. A frame without a payload is complete with it. */
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
      throw frameSizeError(`a frame of ${length} bytes exceeds the limit of ${defaultMaxFrameBytes}`)
    }
    this.#missing = length
    this.#isInFrame = length > 0
    if (this.#type === DATA) this.#beginData(length)
    else if (length === 0) this.#handler.onFrame(this.#type, this.#flags, this.#streamId, nothing)
  }

  #beginData(length: number): void {
    const isPadded = (this.#flags & flags.PADDED) !== 0
    this.#padding = isPadded ? undefined : 0
    if (isPadded && length === 0) throw frameSizeError('a padded frame has no padding length')
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
      if (this.#padding > this.#missing) throw protocolError('a frame has more padding than payload')
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
