import { formatId } from './id.js'
import { protocolError } from './protocol-error.js'

const maxDepth = 100
const twoTo32 = 0x1_0000_0000
/** The default of a bytes field. */
export const emptyBytes: Buffer = Buffer.alloc(0)

/**
 * Reads the protobuf wire format from one buffer.
 *
 * A message is read by reading tags and fields until its end, and then calling `finish`, which detects fields that exceed the
 * message. Invalid input throws an `EtcdError` with the code `PROTOCOL_ERROR`.
 */
export class Reader {
  /** The position of the next byte. */
  pos = 0
  readonly #buffer: Buffer
  #depth = 0
  #high = 0
  #low = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  /** The end of the outermost message. */
  get end(): number {
    return this.#buffer.length
  }

  /** The next tag: field number × 8 + wire type. */
  tag(): number {
    const byte = this.#buffer[this.pos]
    if (byte !== undefined && byte < 0x80) {
      this.pos++
      return byte
    }
    this.#varint()
    if (this.#high !== 0) throw protocolError('a field number is out of range')
    return this.#low >>> 0
  }

  /** Enters a nested message and returns its end. */
  begin(): number {
    const length = this.#length()
    if (++this.#depth > maxDepth) throw protocolError(`messages are nested deeper than ${maxDepth}`)
    return this.pos + length
  }

  /** Enters an empty nested message, and returns its end: the default of a missing one. */
  beginEmpty(): number {
    this.#depth++
    return this.pos
  }

  /** Leaves the message that ends at `end`. */
  finish(end: number): void {
    if (this.pos !== end) throw protocolError('a field exceeds its message')
    this.#depth--
  }

  bool(): boolean {
    this.#varint()
    return this.#low !== 0 || this.#high !== 0
  }

  /** The name of the received number in `names`. */
  enumeration<Name extends string>(names: readonly Name[]): Name {
    this.#varint()
    const name = names[this.#low]
    if (name === undefined) throw protocolError(`the enum value ${this.#low} is not one of ${names.join(', ')}`)
    return name
  }

  /** A signed 64-bit integer of at most 2^53 − 1 in size. */
  int64(): number {
    const byte = this.#buffer[this.pos]
    if (byte !== undefined && byte < 0x80) {
      this.pos++
      return byte
    }
    this.#varint()
    return this.#safe(this.#high)
  }

  /** An unsigned 64-bit integer of at most 2^53 − 1. */
  uint64(): number {
    this.#varint()
    return this.#safe(this.#high >>> 0)
  }

  uint32(): number {
    this.#varint()
    return this.#low >>> 0
  }

  /** A 64-bit ID, signed or not, as hexadecimal text; `undefined` for zero. */
  id(): string | undefined {
    this.#varint()
    return formatId(this.#high, this.#low)
  }

  /** A view of the buffer, not a copy. */
  bytes(): Buffer {
    const length = this.#length()
    if (length === 0) return emptyBytes
    const start = this.pos
    this.pos = start + length
    return this.#buffer.subarray(start, this.pos)
  }

  string(): string {
    const length = this.#length()
    if (length === 0) return ''
    const start = this.pos
    this.pos = start + length
    return this.#buffer.toString('utf8', start, this.pos)
  }

  /** Skips the field of an unknown `tag`. */
  skip(tag: number): void {
    if (tag >>> 3 === 0) throw protocolError('a field number is zero')
    switch (tag & 7) {
      case 0:
        this.#varint()
        return
      case 1:
        this.#advance(8)
        return
      case 2:
        this.#advance(this.#length())
        return
      case 3:
        this.#skipGroup(tag + 1)
        return
      case 5:
        this.#advance(4)
        return
      default:
        throw protocolError(`wire type ${tag & 7} is not valid here`)
    }
  }

  #skipGroup(endTag: number): void {
    if (++this.#depth > maxDepth) throw protocolError(`messages are nested deeper than ${maxDepth}`)
    for (let tag = this.tag(); tag !== endTag; tag = this.tag()) this.skip(tag)
    this.#depth--
  }

  #advance(count: number): void {
    if (count > this.#buffer.length - this.pos) throw truncated()
    this.pos += count
  }

  #length(): number {
    const byte = this.#buffer[this.pos]
    let length = byte
    if (byte !== undefined && byte < 0x80) this.pos++
    else {
      this.#varint()
      length = (this.#high >>> 0) * twoTo32 + (this.#low >>> 0)
    }
    if (length === undefined || length > this.#buffer.length - this.pos) throw truncated()
    return length
  }

  #safe(high: number): number {
    const value = high * twoTo32 + (this.#low >>> 0)
    // Rounding cannot hide a large one: every integer beyond 2^53 − 1 rounds to 2^53 or more.
    if (Number.isSafeInteger(value)) return value
    throw protocolError(`the integer ${value} is larger than 2^53 - 1`)
  }

  /** Reads a varint into `#high` and `#low`, as signed words. */
  #varint(): void {
    const buffer = this.#buffer
    let pos = this.pos
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = buffer[pos++]
      if (byte === undefined) throw truncated()
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.pos = pos
        this.#low = low
        this.#high = 0
        return
      }
    }
    this.#longVarint(pos, low)
  }

  /** The rest of a varint, from its fifth byte on. */
  #longVarint(start: number, low: number): void {
    let pos = start
    const middle = this.#buffer[pos++]
    if (middle === undefined) throw truncated()
    this.#low = low | (middle << 28)
    let high = (middle & 0x7f) >> 4
    let byte: number | undefined = middle
    for (let shift = 3; byte >= 0x80; shift += 7) {
      if (shift > 31) throw protocolError('an integer is longer than 10 bytes')
      byte = this.#buffer[pos++]
      if (byte === undefined) throw truncated()
      high |= (byte & 0x7f) << shift
    }
    this.#high = high
    this.pos = pos
  }
}

function truncated() {
  return protocolError('the message is truncated')
}
