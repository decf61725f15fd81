import { InvalidArgumentError } from '../core/errors.js'
import { prefixEnd } from '../core/key-range.js'
import { describe, keyBytes } from '../core/validate.js'

/** What can be made a range. */
export type Rangable =
  | Range
  | string
  | Buffer
  | { start: string | Buffer; end: string | Buffer }
  | { prefix: string | Buffer }

const noKey = Buffer.alloc(0)
const zeroKey = Buffer.from([0])

/** The bytes of a key or a value, which may be a number. Throws `InvalidArgumentError` for anything else. */
export function toBuffer(input: string | Uint8Array | number, name = 'key'): Buffer {
  return typeof input === 'number' && !Number.isNaN(input) ? Buffer.from(String(input)) : keyBytes(name, input)
}

/** The keys from `start` up to, and without, `end`. */
export class Range {
  readonly start: Buffer
  readonly end: Buffer

  /** Without an `end`, `start` alone. */
  constructor(start: Buffer | string, end: Buffer | string = noKey) {
    this.start = toBuffer(start, 'start')
    this.end = toBuffer(end, 'end')
  }

  /** All keys that start with `prefix`; with an empty one, every key. */
  static prefix(prefix: string | Buffer): Range {
    const start = toBuffer(prefix, 'prefix')
    return start.length === 0 ? new Range(zeroKey, zeroKey) : new Range(start, prefixEnd(start))
  }

  /** A range of whatever can be made one. */
  static from(value: Rangable): Range {
    if (typeof value === 'string' || Buffer.isBuffer(value)) return new Range(value)
    if (value instanceof Range) return value
    if (typeof value !== 'object' || value === null) throw noRange(value)
    return 'prefix' in value ? Range.prefix(value.prefix) : new Range(value.start, value.end)
  }

  /** Whether a key belongs to it. */
  includes(value: string | Buffer): boolean {
    const key = toBuffer(value)
    if (this.end.length === 0) return this.start.equals(key)
    return order(this.start, key) <= 0 && (this.end.equals(zeroKey) || order(this.end, key) > 0)
  }

  /** -1 if it is before `other`, 1 if it is after it, 0 if they have keys in common. */
  compare(other: Range): number {
    const { start, end } = Range.from(other)
    if (order(this.start, start) < 0 && order(this.end, start) <= 0) return -1
    return order(this.start, end) >= 0 ? 1 : 0
  }
}

function noRange(value: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    `\`range\` must be a key, a Range, { prefix } or { start, end }, got ${describe(value)}`,
  )
}

/** An empty key comes after all others. */
function order(a: Buffer, b: Buffer): number {
  if (a.length === 0) return b.length === 0 ? 0 : 1
  return b.length === 0 ? -1 : a.compare(b)
}
