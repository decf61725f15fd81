const blockBytes = 65_536

/** Bytes that wait to be read, in order, as copies: a queue of many small pieces takes no more memory than their bytes. */
export class ByteQueue {
  readonly #blocks: Buffer[] = []
  #bytes = 0
  /** How much of the first block has been dropped, and how much of the last one is in use. */
  #from = 0
  #to = 0

  get bytes(): number {
    return this.#bytes
  }

  push(piece: Buffer): void {
    this.#bytes += piece.length
    for (let at = 0; at < piece.length; ) {
      let block = this.#blocks.at(-1)
      if (block === undefined || this.#to === blockBytes) {
        block = Buffer.allocUnsafeSlow(blockBytes)
        this.#blocks.push(block)
        this.#to = 0
      }
      const copied = piece.copy(block, this.#to, at)
      this.#to += copied
      at += copied
    }
  }

  /** The first of the bytes, as many as are in one piece; they stay in the queue. */
  first(): Buffer | undefined {
    return this.#blocks[0]?.subarray(this.#from, this.#endOfFirst())
  }

  /** Removes the first `bytes`, which are no more than `first` gave. */
  drop(bytes: number): void {
    this.#bytes -= bytes
    this.#from += bytes
    if (this.#from !== this.#endOfFirst()) return
    this.#blocks.shift()
    this.#from = 0
  }

  #endOfFirst(): number {
    return this.#blocks.length === 1 ? this.#to : blockBytes
  }
}
