import type { KeyValue } from '../core/key-value.js'

/** One key of an informer, with its value decoded. Never changed: an update makes another one. */
export interface Entry<T> {
  /** The key as text. Where it is not valid UTF-8 this is for the eye only: `Buffer.from(id, 'latin1')` is the key then. */
  readonly keyText: string
  readonly value: T
  /** The revision that wrote it last. */
  readonly modRevision: number
  readonly createRevision: number
  /** How often it was written since it was created. */
  readonly version: number
  /** The lease it is attached to, in hexadecimal; `undefined` for none. */
  readonly lease: string | undefined
  /** The key's bytes, one character each: keys compare by it as etcd orders them, and differ by it whatever they hold. */
  readonly id: string
}

const ascii = /^[\0-\x7f]*$/

/** The `id` of a key. */
export function idOf(key: string | Uint8Array): string {
  if (typeof key !== 'string') return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
  return ascii.test(key) ? key : Buffer.from(key).toString('latin1')
}

/** The `id` of a key as it was read. */
export function idOfKey({ key }: KeyValue): string {
  return key.toString('latin1')
}

/** The entry of a key as it was read. */
export function entryOf<T>(kv: KeyValue, value: T, id = idOfKey(kv)): Entry<T> {
  return {
    // One string for both where that is possible: there may be very many.
    keyText: ascii.test(id) ? id : kv.key.toString(),
    value,
    modRevision: kv.modRevision,
    createRevision: kv.createRevision,
    version: kv.version,
    lease: kv.lease,
    id,
  }
}
