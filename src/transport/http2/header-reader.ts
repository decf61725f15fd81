import { flags } from './frame.js'
import { HpackDecoder } from './hpack/decoder.js'
import { excessError, protocolError } from './http2-error.js'
import { parseResponseHeaders, type ResponseHeaders } from './response-headers.js'
import { decoderTableBytes, maxHeaderListBytes } from './settings.js'

/** A block of more frames than this is made of frames that carry next to nothing. */
const maxBlockFrames = 64
/** The longest block that is remembered: as many bytes as a number holds exactly beside their count. */
const maxCachedBlockBytes = 6
const maxCachedBlocks = 64
const priorityBytes = 5

interface OpenBlock {
  readonly streamId: number
  readonly endsStream: boolean
  readonly parts: Buffer[]
  bytes: number
}

/** Puts header blocks together from HEADERS and CONTINUATION frames, and decodes them. */
export class HeaderReader {
  readonly #decoder = new HpackDecoder(decoderTableBytes, maxHeaderListBytes)
  /**
   * What short blocks mean, which are made of indexes: etcd answers with the same two again and again. True as long as the
   * decoder's table is the one of `#knownAt`.
   */
  readonly #cache = new Map<number, ResponseHeaders>()
  #cachedAt = 0
  #open: OpenBlock | undefined
  #endsStream = false

  /** Whether a block has begun: nothing but its CONTINUATION frames may follow. */
  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** Whether the block that was returned last is the last of its stream. */
  get endsStream(): boolean {
    return this.#endsStream
  }

  /** Takes a HEADERS frame, and returns what the block says if it is complete. */
  begin(frameFlags: number, streamId: number, payload: Buffer): ResponseHeaders | undefined {
    const block = (frameFlags & (flags.PADDED | flags.PRIORITY)) === 0 ? payload : unpadded(frameFlags, payload)
    this.#endsStream = (frameFlags & flags.END_STREAM) !== 0
    if ((frameFlags & flags.END_HEADERS) !== 0) return this.#headers(block)
    this.#open = { streamId, endsStream: this.#endsStream, parts: [], bytes: 0 }
    this.#add(this.#open, block)
    return undefined
  }

  /** Takes a CONTINUATION frame, and returns what the block says if it is complete now. */
  continue(frameFlags: number, streamId: number, payload: Buffer): ResponseHeaders | undefined {
    const open = this.#open
    if (open === undefined) throw protocolError('a CONTINUATION frame continues nothing')
    if (open.streamId !== streamId) throw protocolError('a CONTINUATION frame is for another stream')
    this.#add(open, payload)
    if ((frameFlags & flags.END_HEADERS) === 0) return undefined
    this.#open = undefined
    this.#endsStream = open.endsStream
    return this.#headers(Buffer.concat(open.parts))
  }

  #add(open: OpenBlock, part: Buffer): void {
    // What was read is there during this call only.
    open.parts.push(Buffer.from(part))
    open.bytes += part.length
    if (open.bytes > maxHeaderListBytes)
      throw excessError(`a header block of more than ${maxHeaderListBytes} bytes came`)
    if (open.parts.length > maxBlockFrames)
      throw excessError(`a header block of more than ${maxBlockFrames} frames came`)
  }

  #headers(block: Buffer): ResponseHeaders {
    const key = block.length <= maxCachedBlockBytes ? keyOf(block) : undefined
    const known = key === undefined ? undefined : this.#cache.get(key)
    return known ?? this.#decode(block, key)
  }

  #decode(block: Buffer, key: number | undefined): ResponseHeaders {
    const { fields, isTooLarge } = this.#decoder.decode(block)
    const headers = parseResponseHeaders(fields, isTooLarge)
    if (this.#decoder.changes !== this.#cachedAt || this.#cache.size >= maxCachedBlocks) this.#cache.clear()
    // A block that has changed the table would not mean the same a second time.
    if (this.#decoder.changes === this.#cachedAt && key !== undefined) this.#cache.set(key, headers)
    this.#cachedAt = this.#decoder.changes
    return headers
  }
}

function keyOf(block: Buffer): number {
  let key = block.length
  for (let at = 0; at < block.length; at += 1) key = key * 256 + (block[at] ?? 0)
  return key
}

/** Without padding, and without the priority that nobody sends any more: RFC 9113, section 6.2. */
function unpadded(frameFlags: number, payload: Buffer): Buffer {
  const isPadded = (frameFlags & flags.PADDED) !== 0
  const from = (isPadded ? 1 : 0) + ((frameFlags & flags.PRIORITY) === 0 ? 0 : priorityBytes)
  const padding = isPadded ? (payload[0] ?? 0) : 0
  if (from + padding > payload.length) {
    throw protocolError('a HEADERS frame has more padding than it has bytes')
  }
  return payload.subarray(from, payload.length - padding)
}
