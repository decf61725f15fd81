import { messagePrefixBytes } from './grpc-protocol.js'

/** The initial allocation for a message: memory follows the received bytes, not the length in the prefix. */
const firstBytes = 4 * 1024 * 1024
/** Each growth copies what is there; memory that no byte was written to is not resident. */
const growth = 16

/** A copy of the message, if the chunk consists of exactly one complete message; otherwise `undefined`. */
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

/** The messages of a response are invalid. */
export class MessageError extends Error {
  override readonly name = 'MessageError'
}

/**
 * Assembles messages from chunks that are split anywhere and whose memory is reused. Each message is copied once, into a buffer
 * of its length.
 */
export class MessageAssembler {
  readonly #prefix = Buffer.alloc(messagePrefixBytes)
  #prefixLength = 0
  /** The length of the message, from its prefix. */
  #length = 0
  #memory: Buffer | undefined
  #filled = 0
  #message: Buffer | undefined

  /** Whether a message is incomplete. */
  get isWithinMessage(): boolean {
    return this.#prefixLength > 0
  }

  /** Returns the message that `push` has completed, and forgets it. */
  take(): Buffer | undefined {
    const message = this.#message
    this.#message = undefined
    return message
  }

  /**
   * Consumes bytes of `chunk` from `from`, at most up to the end of one message, and returns where it stopped. Throws a
   * `MessageError` for a compressed message, or one for which no memory can be allocated.
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
    if (this.#prefix[0] !== 0) throw new MessageError('the response is compressed, which this client does not support')
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
    const grown = allocate(Math.min(this.#length, Math.max(firstBytes, growth * bytes)))
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
    throw new MessageError(`a message of ${bytes} bytes cannot be allocated: ${String(error)}`)
  }
}
