import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { keyBytes } from '../core/validate.js'

/** A key of an informer with its decoded value. Immutable: an update creates a new entry. */
export interface Entry<T> {
  /** The key as text. If the key is not valid UTF-8, use `Buffer.from(id, 'latin1')`: this text is only for display. */
  readonly keyText: string
  readonly value: T
  /** The revision that last wrote the key. */
  readonly modRevision: number
  readonly createRevision: number
  /** The number of writes since the key was created. */
  readonly version: number
  /** The ID of its lease, in hexadecimal; `undefined` without a lease. */
  readonly lease: string | undefined
  /**
   * The bytes of the key, one character per byte. Comparing IDs gives etcd's order, and different keys have different
   * IDs.
   */
  readonly id: string
}

const ascii = /^[\0-\x7f]*$/

/** The `id` of a key. @throws `InvalidArgumentError`, with the name of the argument, for what is no key */
export function idOf(key: Bytes, name = 'key'): string {
  if (typeof key === 'string' && ascii.test(key)) return key
  return keyBytes(name, key).toString('latin1')
}

/** The `id` of a key read from etcd. */
export function idOfKey({ key }: KeyValue): string {
  return key.toString('latin1')
}

/** Creates the entry of a key read from etcd. */
export function entryOf<T>(kv: KeyValue, value: T, id = idOfKey(kv)): Entry<T> {
  return {
    // Shares one string for both where possible, to save memory.
    keyText: ascii.test(id) ? id : kv.key.toString(),
    value,
    modRevision: kv.modRevision,
    createRevision: kv.createRevision,
    version: kv.version,
    lease: kv.lease,
    id,
  }
}
