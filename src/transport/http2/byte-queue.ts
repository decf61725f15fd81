const blockBytes = 65_536

/** A FIFO of bytes. Pieces are copied into blocks, so that many small ones take no more memory than their bytes. */
export class ByteQueue {
  readonly #blocks: Buffer[] = []
  #bytes = 0
  /** The number of bytes dropped from the first block, and used in the last one. */
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

  /** The first bytes, as many as are contiguous. They stay in the queue. */
  first(): Buffer | undefined {
    return this.#blocks[0]?.subarray(this.#from, this.#endOfFirst())
  }

  /** Removes the first `bytes`, at most as many as `first` has returned. */
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
