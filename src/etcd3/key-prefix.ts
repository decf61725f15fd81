import { prefixEnd } from '../core/key-range.js'

interface Keyed {
  key?: Buffer | undefined
  range_end?: Buffer | undefined
}

/** Adds the prefix of a namespace to the keys of requests, and takes it off those of answers. */
export class KeyPrefix {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  add(key: Buffer): Buffer {
    return this.bytes.length === 0 ? key : Buffer.concat([this.bytes, key])
  }

  /** The request with its keys inside of the namespace: a range up to the last key ends with the namespace. */
  addTo<Request extends Keyed>(request: Request): Request {
    if (this.bytes.length === 0) return request
    const { key, range_end: end } = request
    return {
      ...request,
      ...(key === undefined ? {} : { key: this.add(key) }),
      ...(end === undefined || end.length === 0
        ? {}
        : { range_end: isOpen(end) ? prefixEnd(this.bytes) : this.add(end) }),
    }
  }

  remove(key: Buffer): Buffer {
    return this.bytes.length === 0 ? key : key.subarray(this.bytes.length)
  }
}

function isOpen(end: Buffer): boolean {
  return end.length === 1 && end[0] === 0
}
