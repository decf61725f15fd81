import type { EncodedRange } from '../core/key-range.js'

const none = Buffer.alloc(0)

/** The keys that a request is about. */
export function requestRange(request: {
  readonly key?: Uint8Array | undefined
  readonly rangeEnd?: Uint8Array | undefined
}): EncodedRange {
  return { key: asBuffer(request.key), rangeEnd: asBuffer(request.rangeEnd) }
}

function asBuffer(bytes: Uint8Array | undefined): Buffer {
  if (bytes === undefined) return none
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
