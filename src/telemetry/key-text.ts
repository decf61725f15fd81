import { isUtf8 } from 'node:buffer'
import { isOpenEnd, prefixEnd } from '../core/key-range.js'
import type { RangeKind } from './records.js'

/** Longer keys are cut. */
const maxLetters = 256

/** A key as it appears in records: as text, or in hexadecimal if it is not valid UTF-8. */
export function keyText(key: Uint8Array): string {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  const text = isUtf8(bytes) ? bytes.toString() : `0x${bytes.toString('hex')}`
  return text.length > maxLetters ? `${text.slice(0, maxLetters)}…` : text
}

/** The kind of an encoded range, and the key that identifies it; `undefined` for all keys. */
export function describeRange(
  key: Uint8Array,
  rangeEnd: Uint8Array | undefined,
): { readonly kind: RangeKind; readonly key: Uint8Array | undefined } {
  if (rangeEnd === undefined || rangeEnd.length === 0) return { kind: 'key', key }
  const isFromFirst = key.at(-1) === 0
  if (isOpenEnd(rangeEnd))
    return isFromFirst && key.length === 1 ? { kind: 'all', key: undefined } : { kind: 'from', key }
  if (isPrefix(key, rangeEnd)) return { kind: 'prefix', key }
  // All keys of a namespace: from the prefix and the first key there can be.
  const prefix = key.subarray(0, -1)
  return isFromFirst && isPrefix(prefix, rangeEnd) ? { kind: 'prefix', key: prefix } : { kind: 'range', key }
}

function isPrefix(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  return prefixEnd(Buffer.from(key)).equals(rangeEnd)
}
