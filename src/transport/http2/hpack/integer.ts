import { compressionError } from '../http2-error.js'

/** Above every valid length and index, and below the range of bitwise operators. */
const maxInteger = 2 ** 28

/** Appends an integer to `bytes`. Its first part is in the lower `prefixBits` of a byte whose other bits are `flags`. */
export function writeInteger(bytes: number[], flags: number, prefixBits: number, value: number): void {
  const max = (1 << prefixBits) - 1
  if (value < max) {
    bytes.push(flags | value)
    return
  }
  bytes.push(flags | max)
  let rest = value - max
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128)
  bytes.push(rest)
}

/** Reads a header block. Throws an `Http2Error` for an invalid one. */
export class BlockCursor {
  readonly #block: Buffer
  #at = 0

  constructor(block: Buffer) {
    this.#block = block
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#block.length
  }

  /** The next byte, without consuming it. */
  peek(): number {
    return this.#block[this.#at] ?? 0
  }

  /** Reads an integer that begins in the lower `prefixBits` of the next byte. */
  integer(prefixBits: number): number {
    const max = (1 << prefixBits) - 1
    let value = this.#byte() & max
    if (value < max) return value
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.#byte()
      value += (byte & 127) * 2 ** shift
      if (value > maxInteger) break
      if (byte < 128) return value
    }
    throw compressionError('an integer in a header block is too large')
  }

  /** Reads the next `length` bytes. */
  take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#block.length) throw compressionError('a header block ends within a string')
    const bytes = this.#block.subarray(this.#at, end)
    this.#at = end
    return bytes
  }

  #byte(): number {
    const byte = this.#block[this.#at++]
    if (byte === undefined) throw compressionError('a header block ends within a field')
    return byte
  }
}
