import { flags } from './frame.js'
import { HpackDecoder } from './hpack/decoder.js'
import { excessError, protocolError } from './http2-error.js'
import { parseResponseHeaders, type ResponseHeaders } from './response-headers.js'
import { decoderTableBytes, maxHeaderListBytes } from './settings.js'

/** The limit of frames for one header block, against CONTINUATION floods. */
const maxBlockFrames = 64
/** The longest block that is cached: its bytes and length fit into the exact range of a number. */
const maxCachedBlockBytes = 6
const maxCachedBlocks = 64
const priorityBytes = 5

interface OpenBlock {
  readonly streamId: number
  readonly parts: Buffer[]
  bytes: number
}

/** Assembles header blocks from HEADERS and CONTINUATION frames, and decodes them. */
export class HeaderReader {
  readonly #decoder = new HpackDecoder(decoderTableBytes, maxHeaderListBytes)
  /**
   * The decoded headers of short blocks, which consist of indexes: etcd sends the same two again and again. Valid while the
   * decoder's `changes` equal `#cachedAt`.
   */
  readonly #cache = new Map<number, ResponseHeaders>()
  #cachedAt = 0
  #open: OpenBlock | undefined
  #endsStream = false

  /** Whether a block is incomplete, so that only its CONTINUATION frames may follow. */
  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** Whether the block that was returned last ends its stream. */
  get endsStream(): boolean {
    return this.#endsStream
  }

  /** Processes a HEADERS frame, and returns the headers if the block is complete. */
  begin(frameFlags: number, streamId: number, payload: Buffer): ResponseHeaders | undefined {
    const block = (frameFlags & (flags.PADDED | flags.PRIORITY)) === 0 ? payload : unpadded(frameFlags, payload)
    this.#endsStream = (frameFlags & flags.END_STREAM) !== 0
    if ((frameFlags & flags.END_HEADERS) !== 0) return this.#headers(block)
    this.#open = { streamId, parts: [], bytes: 0 }
    this.#add(this.#open, block)
    return undefined
  }

  /** Processes a CONTINUATION frame, and returns the headers if the block is complete. */
  continue(frameFlags: number, streamId: number, payload: Buffer): ResponseHeaders | undefined {
    const open = this.#open
    if (open === undefined) throw protocolError('a CONTINUATION frame without a header block')
    if (open.streamId !== streamId) throw protocolError('a CONTINUATION frame is for another stream')
    this.#add(open, payload)
    if ((frameFlags & flags.END_HEADERS) === 0) return undefined
    this.#open = undefined
    return this.#headers(Buffer.concat(open.parts))
  }

  #add(open: OpenBlock, part: Buffer): void {
    // The chunk is valid during this call only.
    open.parts.push(Buffer.from(part))
    open.bytes += part.length
    if (open.bytes > maxHeaderListBytes) throw excessError(`a header block exceeds ${maxHeaderListBytes} bytes`)
    if (open.parts.length > maxBlockFrames) throw excessError(`a header block exceeds ${maxBlockFrames} frames`)
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
    // A block that changes the table would decode differently a second time.
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

/** The block without padding and priority: RFC 9113, section 6.2. */
function unpadded(frameFlags: number, payload: Buffer): Buffer {
  const isPadded = (frameFlags & flags.PADDED) !== 0
  const from = (isPadded ? 1 : 0) + ((frameFlags & flags.PRIORITY) === 0 ? 0 : priorityBytes)
  const padding = isPadded ? (payload[0] ?? 0) : 0
  if (from + padding > payload.length) {
    throw protocolError('a HEADERS frame has more padding than payload')
  }
  return payload.subarray(from, payload.length - padding)
}
