import { DynamicTable } from './dynamic-table.js'
import { fieldBytes, type HeaderField } from './header-field.js'
import { huffmanBytes, huffmanEncode } from './huffman.js'
import { writeInteger } from './integer.js'
import { staticFieldIndex, staticNameIndex, staticTable } from './static-table.js'

/** What both sides begin with: RFC 9113, section 6.5.2. More is of no use for the few fields of this client. */
const initialTableBytes = 4096

/** Encodes the header blocks of one connection, which must be sent in the order in which they were encoded. RFC 7541. */
export class HpackEncoder {
  readonly #table = new DynamicTable(initialTableBytes)
  readonly #isSecret: (name: string) => boolean
  /** The smallest size of the table that the peer asked for and has not heard the answer to. */
  #smallestBytes: number | undefined

  /** Fields whose name `isSecret` are never indexed, neither here nor by a proxy on the way, and not compressed. */
  constructor(isSecret: (name: string) => boolean) {
    this.#isSecret = isSecret
  }

  /** Grows with every change that makes blocks encoded before it invalid. */
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

  /** The block for `fields`. It is good for being sent again as long as `changes` stays the same. */
  encode(fields: readonly HeaderField[]): Buffer {
    const bytes: number[] = []
    this.#answerResize(bytes)
    for (const field of fields) this.#encodeField(bytes, field)
    return Buffer.from(bytes)
  }

  /** A table that was smaller for a while has lost fields, hence its smallest size is sent as well. */
  #answerResize(bytes: number[]): void {
    if (this.#smallestBytes === undefined) return
    const { maxBytes } = this.#table
    if (this.#smallestBytes < maxBytes) writeInteger(bytes, 0x20, 5, this.#smallestBytes)
    writeInteger(bytes, 0x20, 5, maxBytes)
    this.#smallestBytes = undefined
    // A block with this in front is not for a second use.
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

/** Writes a string, by Huffman's code where that is shorter. */
function writeText(bytes: number[], text: string, mayCompress: boolean): void {
  const plain = Buffer.from(text, 'latin1')
  const isShorter = mayCompress && huffmanBytes(plain) < plain.length
  const written = isShorter ? huffmanEncode(plain) : plain
  writeInteger(bytes, isShorter ? 0x80 : 0, 7, written.length)
  for (const byte of written) bytes.push(byte)
}
