/** Pieces below this are copied together, so that a queue of many small ones takes no more memory than their bytes. */
const minViewBytes = 4096
const blockBytes = 16_384

/** Bytes that wait to be read, in order. */
export class ByteQueue {
  readonly #chunks: Buffer[] = []
  #bytes = 0
  /** The last chunk where small pieces are added to it, and how much of its memory is in use. */
  #block: Buffer | undefined
  #blockLength = 0

  get bytes(): number {
    return this.#bytes
  }

  push(piece: Buffer): void {
    this.#bytes += piece.length
    if (piece.length >= minViewBytes) {
      this.#seal()
      this.#chunks.push(piece)
      return
    }
    if (this.#block === undefined || this.#block.length - this.#blockLength < piece.length) {
      this.#seal()
      this.#block = Buffer.allocUnsafeSlow(blockBytes)
    }
    piece.copy(this.#block, this.#blockLength)
    this.#blockLength += piece.length
  }

  /** The first of the bytes, as many as are in one piece; they stay in the queue. */
  first(): Buffer | undefined {
    if (this.#chunks.length === 0) this.#seal()
    return this.#chunks[0]
  }

  /** Removes the first `bytes`, which are no more than `first` gave. */
  drop(bytes: number): void {
    const [chunk] = this.#chunks
    if (chunk === undefined) return
    this.#bytes -= bytes
    if (bytes === chunk.length) this.#chunks.shift()
    else this.#chunks[0] = chunk.subarray(bytes)
  }

  #seal(): void {
    if (this.#block !== undefined && this.#blockLength > 0)
      this.#chunks.push(this.#block.subarray(0, this.#blockLength))
    this.#block = undefined
    this.#blockLength = 0
  }
}
