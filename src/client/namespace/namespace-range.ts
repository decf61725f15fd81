import { isOpenEnd, prefixEnd } from '../../core/key-range.js'

/** A key or a range as a request has it. */
export interface WireRange {
  readonly key?: Uint8Array | undefined
  readonly rangeEnd?: Uint8Array | undefined
}

/** The key with the namespace's prefix before it. */
export function addPrefix(prefix: Buffer, key: Uint8Array | undefined): Buffer {
  return key === undefined ? prefix : Buffer.concat([prefix, key])
}

/** The key without the namespace's prefix. */
export function stripPrefix(prefix: Buffer, key: Buffer): Buffer {
  return key.subarray(prefix.length)
}

/**
 * A range within the namespace. "To the last key" becomes "to the last key with this prefix"; any other end stays behind
 * the prefix, so that nothing outside is ever reached.
 */
export function rangeInNamespace<Range extends WireRange>(prefix: Buffer, range: Range): Range {
  const { rangeEnd } = range
  const key = addPrefix(prefix, range.key)
  if (rangeEnd === undefined || rangeEnd.length === 0) return { ...range, key }
  return { ...range, key, rangeEnd: isOpenEnd(rangeEnd) ? prefixEnd(prefix) : addPrefix(prefix, rangeEnd) }
}
