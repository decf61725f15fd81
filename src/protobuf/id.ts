import { InvalidArgumentError } from '../core/errors.js'

const slots = 256
const highs = new Int32Array(slots)
const lows = new Int32Array(slots)
const texts: string[] = new Array<string>(slots).fill('')

/**
 * The hexadecimal text of a 64-bit ID given as two 32-bit words; `undefined` for zero, which means "none".
 *
 * The text is lower case without leading zeros, like Go's `%x` and the lease IDs in etcd's lock keys. A lease ID is an int64;
 * a negative one, which Go prints as `-7f…`, is formatted as the unsigned 64-bit value, so that an ID never has a sign.
 */
export function formatId(high: number, low: number): string | undefined {
  if (high === 0 && low === 0) return undefined
  const slot = (high ^ low ^ (low >>> 8)) & (slots - 1)
  // Every response repeats the IDs of its cluster and member, so that their texts are cached.
  if (highs[slot] === (high | 0) && lows[slot] === (low | 0)) return texts[slot]
  const text = toHex(high >>> 0, low >>> 0)
  highs[slot] = high
  lows[slot] = low
  texts[slot] = text
  return text
}

function toHex(high: number, low: number): string {
  return high === 0 ? low.toString(16) : high.toString(16) + low.toString(16).padStart(8, '0')
}

/** The upper 32 bits of an ID, unsigned. Throws `InvalidArgumentError` unless `id` is 1 to 16 hexadecimal digits. */
export function highWord(id: unknown): number {
  if (typeof id !== 'string' || id.length === 0 || id.length > 16) throw notAnId(id)
  return word(id, 0, id.length - 8)
}

/** The lower 32 bits of an ID, unsigned. Throws as `highWord` does. */
export function lowWord(id: unknown): number {
  if (typeof id !== 'string' || id.length === 0 || id.length > 16) throw notAnId(id)
  return word(id, Math.max(id.length - 8, 0), id.length)
}

function word(id: string, start: number, end: number): number {
  let value = 0
  for (let i = start; i < end; i++) {
    const code = id.charCodeAt(i)
    // The codes of a to f are 97 to 102, those of A to F 32 less.
    const digit = code < 58 ? code - 48 : (code | 32) - 87
    if (digit < 0 || digit > 15 || (code >= 58 && digit < 10)) throw notAnId(id)
    value = value * 16 + digit
  }
  return value
}

function notAnId(id: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`an ID must be 1 to 16 hexadecimal digits, got ${String(id)}`)
}
