import { types } from 'node:util'
import { EtcdError, InvalidArgumentError } from './errors.js'
import { type Hexadecimal, printedBytes } from './printing.js'
import { isRevoked } from './revoked.js'
import { describe, keyBytes, ownBytes } from './validate.js'

/** A key or a value: a string, which is stored as UTF-8, or bytes. */
export type Bytes = string | Uint8Array

/** A `Uint8Array`, by its tag alone: editors would offer its members beside the fields of a range otherwise. */
interface ByteArray {
  readonly [Symbol.toStringTag]: 'Uint8Array'
}

/**
 * The keys that an operation covers:
 *
 * - a string or bytes, or `{ key }`: one key;
 * - `{ prefix }`: all keys that start with the prefix; an empty prefix means all keys;
 * - `{ from, to }`: all keys `>= from` and `< to`, in the order of bytes; without `to`, all keys `>= from`.
 *
 * @example
 * await etcd.range({ prefix: 'config/' })
 * await etcd.range({ from: 'users/a', to: 'users/n' })
 */
export type KeyRange =
  | string
  | ByteArray
  | {
      /** One key. */
      readonly key: Bytes
    }
  | {
      /** All keys that start with this; an empty prefix means all keys. */
      readonly prefix: Bytes
    }
  | {
      /** All keys from this one on, in the order of bytes. */
      readonly from: Bytes
      /** The end of the range, which is not part of it. @default no end */
      readonly to?: Bytes | undefined
    }

/** A range in etcd's encoding: `[key, rangeEnd)`. An empty `rangeEnd` means one key, a zero byte means all keys `>= key`. */
export interface EncodedRange {
  readonly key: Buffer
  readonly rangeEnd: Buffer
}

const none = Buffer.alloc(0)
const zero = Buffer.from([0])

/** The same range, or invalid range, with a copy of its bytes, for one that is used after the call has returned. */
export function ownRange(range: KeyRange): KeyRange {
  if (types.isUint8Array(range)) return ownBytes('key', range)
  if (typeof range !== 'object' || range === null || isRevoked(range)) return range
  const own = { ...range }
  for (const [name, key] of Object.entries(own)) {
    if (types.isUint8Array(key)) Object.assign(own, { [name]: ownBytes(name, key) })
  }
  return own
}

/** Encodes a range into new bytes. @throws `InvalidArgumentError` if it is empty, inverted or ambiguous */
export function encodeRange(range: KeyRange): EncodedRange {
  if (typeof range === 'string' || types.isUint8Array(range)) return { key: ownBytes('key', range), rangeEnd: none }
  if (typeof range !== 'object' || range === null || isRevoked(range)) throw invalid(range)
  const names = Object.keys(range).filter((name) => range[name as keyof typeof range] !== undefined)
  if ('key' in range && names.length === 1) return { key: ownBytes('key', range.key), rangeEnd: none }
  if ('prefix' in range && names.length === 1) return prefixRange(ownBytes('prefix', range.prefix))
  if ('from' in range && names.every((name) => name === 'from' || name === 'to')) return fromTo(range.from, range.to)
  throw invalid(range)
}

/** All keys that start with `prefix`. */
export function prefixRange(prefix: Buffer): EncodedRange {
  return prefix.length === 0 ? { key: zero, rangeEnd: zero } : { key: prefix, rangeEnd: prefixEnd(prefix) }
}

/** The first key after all keys that start with `prefix`; a zero byte (no upper bound) if there is none. */
export function prefixEnd(prefix: Buffer): Buffer {
  let last = prefix.length - 1
  while (last >= 0 && prefix[last] === 0xff) last -= 1
  if (last < 0) return zero
  const end = Buffer.from(prefix.subarray(0, last + 1))
  end[last] = (end[last] ?? 0) + 1
  return end
}

/** The next key after `key`. */
export function successor(key: Buffer): Buffer {
  return Buffer.concat([key, zero])
}

/** Whether `rangeEnd` means no upper bound. */
export function isOpenEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0
}

/** Whether `outer`, a range with a `rangeEnd`, contains all keys of `inner`. */
export function covers(outer: EncodedRange, inner: EncodedRange): boolean {
  if (Buffer.compare(inner.key, outer.key) < 0) return false
  if (isOpenEnd(outer.rangeEnd)) return true
  if (inner.rangeEnd.length === 0) return Buffer.compare(inner.key, outer.rangeEnd) < 0
  return !isOpenEnd(inner.rangeEnd) && Buffer.compare(inner.rangeEnd, outer.rangeEnd) <= 0
}

/** Whether two ranges have a key in common. */
export function overlap(one: EncodedRange, other: EncodedRange): boolean {
  return startsBeforeEnd(one, other) && startsBeforeEnd(other, one)
}

/** A range for a person: the fields of the forms of `KeyRange`, as text. */
export function printedRange(range: KeyRange): object {
  if (typeof range === 'string' || types.isUint8Array(range)) return { key: printedKey(range) }
  return Object.fromEntries(Object.entries(range).map(([name, key]) => [name, key && printedKey(key)]))
}

/** A key below a prefix. */
export function joinKeys(prefix: Bytes, key: Bytes): Bytes {
  if (typeof prefix === 'string' && typeof key === 'string') return prefix + key
  return Buffer.concat([keyBytes('prefix', prefix), keyBytes('key', key)])
}

/** A key for a person. */
export function printedKey(key: Bytes): string | Hexadecimal {
  return printedBytes(typeof key === 'string' ? Buffer.from(key) : key)
}

function startsBeforeEnd({ key }: EncodedRange, { key: start, rangeEnd }: EncodedRange): boolean {
  if (rangeEnd.length === 0) return Buffer.compare(key, start) <= 0
  return isOpenEnd(rangeEnd) || Buffer.compare(key, rangeEnd) < 0
}

function fromTo(from: Bytes, to: Bytes | undefined): EncodedRange {
  const start = ownBytes('from', from)
  // etcd has no empty key and rejects an empty start: the first possible key is a zero byte.
  const key = start.length === 0 ? zero : start
  if (to === undefined) return { key, rangeEnd: zero }
  const rangeEnd = ownBytes('to', to)
  if (Buffer.compare(key, rangeEnd) >= 0) {
    throw new InvalidArgumentError(`\`to\` must be after \`from\`, got from ${describe(from)} to ${describe(to)}`)
  }
  return { key, rangeEnd }
}

function invalid(range: unknown): InvalidArgumentError {
  const expected = 'a key, { key }, { prefix } or { from, to }'
  return new InvalidArgumentError(`the range must be ${expected}, got ${rangeKind(range)}`)
}

/** Shows the names of an object's fields, which may be misspelled, but none of its values. */
function rangeKind(range: unknown): string {
  const kind = describe(range)
  if (types.isPromise(range)) return `${kind}: await it`
  const names = kind === 'an object' ? Object.keys(Object(range)).join(', ') : ''
  return names === '' ? kind : `${kind} with ${describe(names)}`
}

/** The error for an empty key, which etcd does not allow. */
export function emptyKey(): EtcdError {
  return new EtcdError('key is not provided: a key has at least one byte', { code: 'EMPTY_KEY', effect: 'none' })
}
