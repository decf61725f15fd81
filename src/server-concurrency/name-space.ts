import type { Bytes } from '../core/key-range.js'
import { emptyKey } from '../core/key-range.js'
import { keyBytes } from '../core/validate.js'

/** Converts names and keys between the namespace of a client and the server. */
export class NameSpace {
  readonly #prefix: Buffer

  constructor(prefix: Buffer) {
    this.#prefix = prefix
  }

  /** The name or key on the server. */
  into(what: string, name: Bytes): Buffer {
    const bytes = keyBytes(what, name)
    if (bytes.length === 0) throw emptyKey()
    return this.#prefix.length === 0 ? bytes : Buffer.concat([this.#prefix, bytes])
  }

  /** The key as the caller sees it. */
  outOf(key: Buffer): Buffer {
    return key.subarray(this.#prefix.length)
  }
}
