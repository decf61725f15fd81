import { prefixEnd } from '../core/key-range.js'

/** What can be made a range. */
export type Rangable =
  | Range
  | string
  | Buffer
  | { start: string | Buffer; end: string | Buffer }
  | { prefix: string | Buffer }

const noKey = Buffer.alloc(0)
const zeroKey = Buffer.from([0])

/** The bytes of a key or a value. */
export function toBuffer(input: string | Uint8Array | number): Buffer {
  if (Buffer.isBuffer(input)) return input
  return typeof input === 'string' || typeof input === 'number' ? Buffer.from(String(input)) : Buffer.from(input)
}

/** The keys from `start` up to, and without, `end`. */
export class Range {
  readonly start: Buffer
  readonly end: Buffer

  /** Without an `end`, `start` alone. */
  constructor(start: Buffer | string, end: Buffer | string = noKey) {
    this.start = toBuffer(start)
    this.end = toBuffer(end)
  }

  /** All keys that start with `prefix`; with an empty one, every key. */
  static prefix(prefix: string | Buffer): Range {
    const start = toBuffer(prefix)
    return start.length === 0 ? new Range(zeroKey, zeroKey) : new Range(start, prefixEnd(start))
  }

  /** A range of whatever can be made one. */
  static from(value: Rangable): Range {
    if (typeof value === 'string' || Buffer.isBuffer(value)) return new Range(value)
    if (value instanceof Range) return value
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
    if (order(this.start, other.start) < 0 && order(this.end, other.start) <= 0) return -1
    return order(this.start, other.end) >= 0 ? 1 : 0
  }
}

/** An empty key comes after all others. */
function order(a: Buffer, b: Buffer): number {
  if (a.length === 0) return b.length === 0 ? 0 : 1
  return b.length === 0 ? -1 : a.compare(b)
}
