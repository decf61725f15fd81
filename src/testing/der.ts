/** Writes DER, the binary encoding that certificates use: a tag, a length, and contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), encodeLength(body.length), body])
}

/** A SEQUENCE of encoded values. */
export function sequence(...values: readonly Uint8Array[]): Buffer {
  return der(0x30, ...values)
}

/** A SET of encoded values. */
export function set(...values: readonly Uint8Array[]): Buffer {
  return der(0x31, ...values)
}

/** A BOOLEAN. */
export function boolean(value: boolean): Buffer {
  return der(0x01, Buffer.from([value ? 0xff : 0]))
}

/** An INTEGER that is not negative, from its big-endian bytes without leading zeros. */
export function integer(bytes: Uint8Array): Buffer {
  const isHighBitSet = (bytes[0] ?? 0) >= 0x80
  return der(0x02, isHighBitSet ? Buffer.from([0]) : Buffer.alloc(0), bytes)
}

/** A BIT STRING whose last byte has `unusedBits` unused bits. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return der(0x03, Buffer.from([unusedBits]), bytes)
}

/** An OCTET STRING. */
export function octetString(bytes: Uint8Array): Buffer {
  return der(0x04, bytes)
}

/** An OBJECT IDENTIFIER in dotted notation. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

/** A UTF8String. */
export function utf8String(text: string): Buffer {
  return der(0x0c, Buffer.from(text))
}

/** A point in time to the second: UTCTime until 2049, GeneralizedTime from 2050, as certificates want it. */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\..*$/g, '')
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(`${digits.slice(2)}Z`, 'latin1'))
    : der(0x18, Buffer.from(`${digits}Z`, 'latin1'))
}

/** A context-specific tag around encoded values. */
export function tagged(number: number, ...values: readonly Uint8Array[]): Buffer {
  return der(0xa0 + number, ...values)
}

/** A context-specific tag in place of the tag of a simple value. */
export function implicitly(number: number, contents: Uint8Array): Buffer {
  return der(0x80 + number, contents)
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes = bigEndian(length)
  return Buffer.from([0x80 + bytes.length, ...bytes])
}

function bigEndian(value: number): number[] {
  return value < 0x100 ? [value] : [...bigEndian(value >> 8), value & 0xff]
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift(0x80 | (rest & 0x7f))
  return bytes
}
