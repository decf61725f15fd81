import { DynamicTable } from './dynamic-table.js'
import { fieldBytes, type HeaderField } from './header-field.js'
import { huffmanBytes, huffmanEncode } from './huffman.js'
import { writeInteger } from './integer.js'
import { staticFieldIndex, staticNameIndex, staticTable } from './static-table.js'

/** The initial table size: RFC 9113, section 6.5.2. The few fields of this client need no more. */
const initialTableBytes = 4096

/** Encodes the header blocks of one connection, which must be sent in the order of encoding: RFC 7541. */
export class HpackEncoder {
  readonly #table = new DynamicTable(initialTableBytes)
  readonly #isSecret: (name: string) => boolean
  /** The smallest table size that the peer has requested since the last table size update. */
  #smallestBytes: number | undefined

  /** Fields whose name `isSecret` are encoded as never-indexed literals, without Huffman coding. */
  constructor(isSecret: (name: string) => boolean) {
    this.#isSecret = isSecret
  }

  /** Increases with every change that invalidates blocks that were encoded before it. */
  get changes(): number {
    return this.#table.changes
  }

  /** The peer allows a table of this size. */
  allow(maxBytes: number): void {
    const chosen = Math.min(maxBytes, initialTableBytes)
    if (chosen === this.#table.maxBytes && this.#smallestBytes === undefined) return
    this.#smallestBytes = Math.min(chosen, this.#smallestBytes ?? chosen)
    this.#table.resize(chosen)
  }

  /** The block for `fields`. It may be sent again while `changes` stays the same. */
  encode(fields: readonly HeaderField[]): Buffer {
    const bytes: number[] = []
    this.#answerResize(bytes)
    for (const field of fields) this.#encodeField(bytes, field)
    return Buffer.from(bytes)
  }

  /** A table that was smaller meanwhile has evicted fields, so that its smallest size is sent as well. */
  #answerResize(bytes: number[]): void {
    if (this.#smallestBytes === undefined) return
    const { maxBytes } = this.#table
    if (this.#smallestBytes < maxBytes) writeInteger(bytes, 0x20, 5, this.#smallestBytes)
    writeInteger(bytes, 0x20, 5, maxBytes)
    this.#smallestBytes = undefined
    // A block with a table size update must not be sent twice.
    this.#table.resize(maxBytes)
  }

  #encodeField(bytes: number[], field: HeaderField): void {
    const [name, value] = field
    if (this.#isSecret(name)) {
      this.#literal(bytes, 0x10, 4, field)
      return
    }
    const index =
      staticFieldIndex(name, value) ?? this.#dynamicIndex((known) => known[0] === name && known[1] === value)
    if (index !== undefined) writeInteger(bytes, 0x80, 7, index)
    else if (fieldBytes(name, value) > this.#table.maxBytes) this.#literal(bytes, 0x00, 4, field)
    else {
      this.#literal(bytes, 0x40, 6, field)
      this.#table.add(field)
    }
  }

  #literal(bytes: number[], flags: number, prefixBits: number, [name, value]: HeaderField): void {
    const nameIndex = staticNameIndex(name) ?? this.#dynamicIndex((known) => known[0] === name)
    writeInteger(bytes, flags, prefixBits, nameIndex ?? 0)
    if (nameIndex === undefined) writeText(bytes, name, true)
    writeText(bytes, value, !this.#isSecret(name))
  }

  #dynamicIndex(isWanted: (field: HeaderField) => boolean): number | undefined {
    const number = this.#table.find(isWanted)
    return number < 0 ? undefined : staticTable.length + 1 + number
  }
}

/** Writes a string, Huffman-coded if that is shorter. */
function writeText(bytes: number[], text: string, mayCompress: boolean): void {
  const plain = Buffer.from(text, 'latin1')
  const isShorter = mayCompress && huffmanBytes(plain) < plain.length
  const written = isShorter ? huffmanEncode(plain) : plain
  writeInteger(bytes, isShorter ? 0x80 : 0, 7, written.length)
  for (const byte of written) bytes.push(byte)
}
