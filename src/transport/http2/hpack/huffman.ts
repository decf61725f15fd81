import { compressionError, type Http2Error } from '../http2-error.js'

/**
 * The code length of each byte in bits, as one base-36 digit: RFC 7541, appendix B. The code is canonical: in the order of
 * lengths, and of bytes within one length, each code is its predecessor plus one. The lengths therefore define the code.
 */
const bitLengths =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq'
/** The symbol for the end of a string, which is never sent: padding consists of its first bits, which are ones. */
const endSymbol = 256
const endBits = 30

const lengths = Uint8Array.from([...Array.from(bitLengths, (digit) => Number.parseInt(digit, 36)), endBits])
const codes = canonicalCodes()

function canonicalCodes(): Uint32Array {
  const symbols = [...lengths.keys()].sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b)
  const made = new Uint32Array(lengths.length)
  let code = 0
  let previousBits = 0
  for (const symbol of symbols) {
    const bits = lengths[symbol] ?? 0
    code <<= bits - previousBits
    previousBits = bits
    made[symbol] = code
    code += 1
  }
  return made
}

/** The encoded length of `bytes`. */
export function huffmanBytes(bytes: Uint8Array): number {
  let bits = 0
  for (const byte of bytes) bits += lengths[byte] ?? 0
  return (bits + 7) >>> 3
}

/** Encodes `bytes`. */
export function huffmanEncode(bytes: Uint8Array): Buffer {
  const encoded = Buffer.allocUnsafe(huffmanBytes(bytes))
  let at = 0
  /** Pending bits, fewer than 8. A code of up to 30 bits is added in two steps. */
  let pending = 0
  let pendingBits = 0
  for (const byte of bytes) {
    const code = codes[byte] ?? 0
    for (let left = lengths[byte] ?? 0; left > 0; ) {
      const taken = Math.min(left, 8 - pendingBits)
      left -= taken
      pending = (pending << taken) | ((code >>> left) & ((1 << taken) - 1))
      pendingBits += taken
      if (pendingBits < 8) continue
      encoded[at++] = pending
      pending = 0
      pendingBits = 0
    }
  }
  if (pendingBits > 0) encoded[at] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits)
  return encoded
}

/**
 * Decoding tables of 256 entries each; codes begin in the first one. An entry is the number of the table for the next eight
 * bits, or `-(symbol << 4 | bits)` if a code ends after `bits` of its eight.
 */
let decoding: Int32Array | undefined

function decodingTables(): Int32Array {
  const tables: number[] = new Array(256).fill(0)
  for (const [symbol, length] of lengths.entries()) {
    const code = codes[symbol] ?? 0
    let bits = length
    let table = 0
    for (; bits > 8; bits -= 8) table = nextTable(tables, table + ((code >>> (bits - 8)) & 255))
    const first = table + ((code << (8 - bits)) & 255)
    tables.fill(-((symbol << 4) | bits), first, first + (1 << (8 - bits)))
  }
  return Int32Array.from(tables)
}

function nextTable(tables: number[], at: number): number {
  if (tables[at] === 0) {
    tables[at] = tables.length
    for (let entry = 0; entry < 256; entry += 1) tables.push(0)
  }
  return tables[at] ?? 0
}

/** Decodes `bytes` to Latin-1. Throws an `Http2Error` for an unknown code or invalid padding. */
export function huffmanDecode(bytes: Uint8Array): string {
  decoding ??= decodingTables()
  const decoded = Buffer.allocUnsafe((bytes.length * 8) / 5 + 1)
  let length = 0
  let table = 0
  let pending = 0
  let pendingBits = 0
  for (let at = 0; at < bytes.length || pendingBits > 0; ) {
    if (pendingBits < 8 && at < bytes.length) {
      pending = ((pending & 0xff) << 8) | (bytes[at++] ?? 0)
      pendingBits += 8
    }
    const ahead = pendingBits >= 8 ? pending >>> (pendingBits - 8) : pending << (8 - pendingBits)
    const entry = decoding[table + (ahead & 255)] ?? 0
    const bits = entry > 0 ? 8 : -entry & 15
    if (bits > pendingBits) break
    if (entry > 0) table = entry
    else {
      const symbol = -entry >> 4
      if (symbol === endSymbol) throw badHuffman('the end within it')
      decoded[length++] = symbol
      table = 0
    }
    pendingBits -= bits
  }
  checkPadding(table, pending, pendingBits)
  return decoded.toString('latin1', 0, length)
}

function checkPadding(table: number, pending: number, pendingBits: number): void {
  const ones = (1 << pendingBits) - 1
  if (table !== 0 || pendingBits > 7) throw badHuffman('more than seven bits of padding')
  if ((pending & ones) !== ones) throw badHuffman('padding that is not made of ones')
}

function badHuffman(what: string): Http2Error {
  return compressionError(`a Huffman code has ${what}`)
}
