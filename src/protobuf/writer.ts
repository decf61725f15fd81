import { InvalidArgumentError } from '../core/errors.js'
import { highWord, lowWord } from './id.js'

const chunkBytes = 32 * 1024
const twoTo32 = 0x1_0000_0000
/** The maximum length of a tag and a varint; field numbers are below 2048. */
const varintBytes = 12

/**
 * Writes the protobuf wire format.
 *
 * Messages are views of a chunk of memory that is filled once and never reused, so that a finished message needs no copy and
 * stays valid.
 */
export class Writer {
  #chunk = Buffer.allocUnsafeSlow(chunkBytes)
  #start = 0
  #pos = 0

  /** Starts a message. An unfinished one, after an error, is dropped. */
  reset(): this {
    this.#pos = this.#start
    return this
  }

  /** The bytes of the message since `reset`. */
  finish(): Buffer {
    const message = this.#chunk.subarray(this.#start, this.#pos)
    this.#start = this.#pos
    return message
  }

  bool(tag: number, value: boolean): void {
    this.#reserve(varintBytes)
    this.#tag(tag)
    this.#chunk[this.#pos++] = value ? 1 : 0
  }

  /** The index of `value` in `names`. */
  enumeration<Name extends string>(tag: number, names: readonly Name[], value: Name): void {
    this.#reserve(varintBytes)
    this.#tag(tag)
    this.#varint32(indexOf(names, value))
  }

  /** A repeated enumeration, packed. */
  enumerations<Name extends string>(tag: number, names: readonly Name[], values: readonly Name[]): void {
    const mark = this.open(tag)
    this.#reserve(values.length)
    for (const value of values) this.#varint32(indexOf(names, value))
    this.close(mark)
  }

  /** A signed 64-bit integer; throws `InvalidArgumentError` unless it is a safe integer. */
  int64(tag: number, value: number): void {
    this.#reserve(varintBytes)
    this.#tag(tag)
    if (value >= 0 && (value | 0) === value) {
      this.#varint32(value)
      return
    }
    checkInteger(value)
    this.#varint64(Math.floor(value / twoTo32) >>> 0, value >>> 0)
  }

  /** A 64-bit ID from hexadecimal text; throws `InvalidArgumentError` for other text. */
  id(tag: number, value: string): void {
    this.#reserve(varintBytes)
    this.#tag(tag)
    this.#varint64(highWord(value), lowWord(value))
  }

  bytes(tag: number, value: Uint8Array): void {
    if (!(value instanceof Uint8Array)) throw new InvalidArgumentError(`expected bytes, got ${typeof value}`)
    this.#reserve(varintBytes + value.length)
    this.#tag(tag)
    this.#varint32(value.length)
    this.#chunk.set(value, this.#pos)
    this.#pos += value.length
  }

  string(tag: number, value: string): void {
    if (typeof value !== 'string') throw new InvalidArgumentError(`expected a string, got ${typeof value}`)
    const length = Buffer.byteLength(value)
    this.#reserve(varintBytes + length)
    this.#tag(tag)
    this.#varint32(length)
    this.#pos += this.#chunk.write(value, this.#pos)
  }

  /** Starts a nested message, and returns the mark for `close`. */
  open(tag: number): number {
    this.#reserve(varintBytes)
    this.#tag(tag)
    return this.#pos++ - this.#start
  }

  /** Ends a nested message: writes its length before it, and moves it only if the length takes several bytes. */
  close(mark: number): void {
    const bodyBytes = this.#pos - this.#start - mark - 1
    if (bodyBytes >= 0x80) this.#shift(mark, bodyBytes)
    const end = this.#pos
    this.#pos = this.#start + mark
    this.#varint32(bodyBytes)
    this.#pos = end
  }

  #shift(mark: number, bodyBytes: number): void {
    const extraBytes = varint32Bytes(bodyBytes) - 1
    this.#reserve(extraBytes)
    const body = this.#start + mark + 1
    this.#chunk.copyWithin(body + extraBytes, body, this.#pos)
    this.#pos += extraBytes
  }

  #tag(tag: number): void {
    if (tag < 0x80) this.#chunk[this.#pos++] = tag
    else this.#varint32(tag)
  }

  #varint32(value: number): void {
    const chunk = this.#chunk
    let pos = this.#pos
    let rest = value
    while (rest > 0x7f) {
      chunk[pos++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    chunk[pos++] = rest
    this.#pos = pos
  }

  #varint64(high: number, low: number): void {
    let rest = low
    let above = high
    while (above !== 0) {
      this.#chunk[this.#pos++] = (rest & 0x7f) | 0x80
      rest = ((rest >>> 7) | (above << 25)) >>> 0
      above >>>= 7
    }
    this.#varint32(rest)
  }

  #reserve(bytes: number): void {
    if (this.#pos + bytes > this.#chunk.length) this.#grow(bytes)
  }

  #grow(bytes: number): void {
    const usedBytes = this.#pos - this.#start
    const chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, usedBytes * 2 + bytes))
    this.#chunk.copy(chunk, 0, this.#start, this.#pos)
    this.#chunk = chunk
    this.#start = 0
    this.#pos = usedBytes
  }
}

function indexOf<Name extends string>(names: readonly Name[], value: Name): number {
  const number = names.indexOf(value)
  if (number < 0) throw new InvalidArgumentError(`expected one of ${names.join(', ')}, got ${String(value)}`)
  return number
}

/** Returns `value`; throws `InvalidArgumentError` unless it is an integer of at most 2^53 − 1 in size. */
export function checkInteger(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError(`expected an integer of at most 2^53 - 1, got ${String(value)}`)
}

function varint32Bytes(value: number): number {
  let count = 1
  for (let rest = value; rest > 0x7f; rest >>>= 7) count++
  return count
}
