import type { Bytes } from '../core/key-range.js'
import { emptyKey } from '../core/key-range.js'
import { keyBytes } from '../core/validate.js'

/** Takes names and keys into the namespace of a client and out of it. */
export class NameSpace {
  readonly #prefix: Buffer

  constructor(prefix: Buffer) {
    this.#prefix = prefix
  }

  /** As the server knows it. */
  into(what: string, name: Bytes): Buffer {
    const bytes = keyBytes(what, name)
    if (bytes.length === 0) throw emptyKey()
    return this.#prefix.length === 0 ? bytes : Buffer.concat([this.#prefix, bytes])
  }

  /** As the caller knows it. */
  outOf(key: Buffer): Buffer {
    return key.subarray(this.#prefix.length)
  }
}
