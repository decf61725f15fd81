import { messagePrefixBytes } from './grpc-protocol.js'

/** Memory for a message is not taken far ahead of its bytes, whatever its prefix promises. */
const firstBytes = 4 * 1024 * 1024

/** The message that a chunk consists of, exactly and completely, as a copy; `undefined` where it is anything else. */
export function wholeMessage(chunk: Buffer): Buffer | undefined {
  const length = chunk.length - messagePrefixBytes
  if (length < 0 || chunk[0] !== 0 || chunk.readUInt32BE(1) !== length) return undefined
  return copyOf(chunk, messagePrefixBytes, chunk.length)
}

function copyOf(chunk: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafe(to - from)
  chunk.copy(copy, 0, from, to)
  return copy
}

/** What is wrong with the messages of an answer. */
export class MessageError extends Error {
  override readonly name = 'MessageError'
}

/**
 * Puts messages together from chunks that are cut anywhere, whose memory is used again. Each is copied once, into memory of
 * the size that its prefix gives.
 */
export class MessageAssembler {
  readonly #prefix = Buffer.alloc(messagePrefixBytes)
  #prefixLength = 0
  /** The length of the message, from its prefix. */
  #length = 0
  #memory: Buffer | undefined
  #filled = 0
  #message: Buffer | undefined

  /** Whether a message has begun and is not complete. */
  get isWithinMessage(): boolean {
    return this.#prefixLength > 0
  }

  /** The message that `push` has completed, once. */
  take(): Buffer | undefined {
    const message = this.#message
    this.#message = undefined
    return message
  }

  /**
   * Takes bytes of `chunk` from `from` on, up to the end of one message at most, and returns where it stopped. Throws a
   * `MessageError` for a message that is compressed, or larger than memory.
   */
  push(chunk: Buffer, from: number): number {
    let at = from
    if (this.#prefixLength < messagePrefixBytes) at = this.#readPrefix(chunk, at)
    if (this.#prefixLength < messagePrefixBytes) return at
    const end = Math.min(chunk.length, at + this.#length - this.#filled)
    if (this.#filled === 0 && end - at === this.#length) {
      this.#complete(copyOf(chunk, at, end))
    } else this.#collect(chunk, at, end)
    return end
  }

  #readPrefix(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + messagePrefixBytes - this.#prefixLength)
    chunk.copy(this.#prefix, this.#prefixLength, from, end)
    this.#prefixLength += end - from
    if (this.#prefix[0] !== 0) throw new MessageError('the answer is compressed, which this client did not ask for')
    this.#length = this.#prefix.readUInt32BE(1)
    return end
  }

  #collect(chunk: Buffer, at: number, end: number): void {
    this.#grow(this.#filled + end - at)
    this.#memory?.set(chunk.subarray(at, end), this.#filled)
    this.#filled += end - at
    if (this.#filled === this.#length) this.#complete(this.#memory)
  }

  #grow(bytes: number): void {
    if (this.#memory !== undefined && bytes <= this.#memory.length) return
    const grown = allocate(Math.min(this.#length, Math.max(firstBytes, 2 * bytes)))
    this.#memory?.copy(grown, 0, 0, this.#filled)
    this.#memory = grown
  }

  #complete(message: Buffer | undefined): void {
    this.#message = message
    this.#memory = undefined
    this.#filled = 0
    this.#prefixLength = 0
  }
}

function allocate(bytes: number): Buffer {
  try {
    return Buffer.allocUnsafe(bytes)
  } catch (error) {
    throw new MessageError(`a message of ${bytes} bytes is larger than memory: ${String(error)}`)
  }
}
