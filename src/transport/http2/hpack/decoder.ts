import { compressionError } from '../http2-error.js'
import { DynamicTable } from './dynamic-table.js'
import { fieldBytes, type HeaderField } from './header-field.js'
import { huffmanDecode } from './huffman.js'
import { BlockCursor } from './integer.js'
import { staticTable } from './static-table.js'

/** The fields of a block. Fields beyond the limit are decoded and dropped, and `isTooLarge` is set. */
export interface DecodedFields {
  readonly fields: readonly HeaderField[]
  readonly isTooLarge: boolean
}

/** Decodes the header blocks of one connection, in the order in which they were sent: RFC 7541. */
export class HpackDecoder {
  readonly #table: DynamicTable
  /** The table size that was announced to the peer, which may choose a smaller one. */
  readonly #maxTableBytes: number
  readonly #maxListBytes: number

  constructor(maxTableBytes: number, maxListBytes: number) {
    this.#table = new DynamicTable(maxTableBytes)
    this.#maxTableBytes = maxTableBytes
    this.#maxListBytes = maxListBytes
  }

  /** Increases with every change of the dynamic table, on which the meaning of later blocks depends. */
  get changes(): number {
    return this.#table.changes
  }

  /** Decodes a complete block. Nothing can be decoded after it has thrown an `Http2Error`. */
  decode(block: Buffer): DecodedFields {
    const cursor = new BlockCursor(block)
    this.#resize(cursor)
    const fields: HeaderField[] = []
    let bytes = 0
    while (!cursor.isAtEnd) {
      const field = this.#field(cursor)
      bytes += fieldBytes(field[0], field[1])
      if (bytes <= this.#maxListBytes) fields.push(field)
    }
    return { fields, isTooLarge: bytes > this.#maxListBytes }
  }

  /** Table size updates precede all fields. */
  #resize(cursor: BlockCursor): void {
    while (!cursor.isAtEnd && isResize(cursor.peek())) {
      const maxBytes = cursor.integer(5)
      if (maxBytes > this.#maxTableBytes) throw compressionError(`a table of ${maxBytes} bytes was not offered`)
      this.#table.resize(maxBytes)
    }
  }

  #field(cursor: BlockCursor): HeaderField {
    const first = cursor.peek()
    if (first >= 0x80) return this.#indexed(cursor.integer(7))
    if (isResize(first)) throw compressionError('a change of the table comes after a field')
    const isAdded = first >= 0x40
    const index = cursor.integer(isAdded ? 6 : 4)
    const name = index === 0 ? text(cursor) : this.#indexed(index)[0]
    const field: HeaderField = [name, text(cursor)]
    if (isAdded) this.#table.add(field)
    return field
  }

  #indexed(index: number): HeaderField {
    const field = index <= staticTable.length ? staticTable[index - 1] : this.#table.at(index - staticTable.length - 1)
    if (field === undefined) throw compressionError(`there is no field with the index ${index}`)
    return field
  }
}

function isResize(first: number): boolean {
  return first >= 0x20 && first < 0x40
}

function text(cursor: BlockCursor): string {
  const isHuffman = cursor.peek() >= 0x80
  const bytes = cursor.take(cursor.integer(7))
  return isHuffman ? huffmanDecode(bytes) : bytes.toString('latin1')
}
