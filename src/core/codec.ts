import { EtcdError } from './errors.js'

/** Translates between a value of type `T` and the bytes that etcd stores. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Buffer): T
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 text. Bytes that are not valid UTF-8 are an error (`DECODE_FAILED`), never replacement characters. */
export const text: Codec<string> = {
  encode: (value) => Buffer.from(value, 'utf8'),
  decode(bytes) {
    try {
      return utf8.decode(bytes)
    } catch (cause) {
      throw new EtcdError('not valid UTF-8: read it as bytes', { code: 'DECODE_FAILED', effect: 'none', cause })
    }
  },
}

/** The bytes as they are. */
export const bytes: Codec<Uint8Array> = { encode: (value) => value, decode: (value) => value }

/** JSON. Text that does not parse is an error (`DECODE_FAILED`). The type is the caller's word: nothing checks it. */
export function json<T = unknown>(): Codec<T> {
  return jsonCodec as Codec<T>
}

const jsonCodec: Codec<unknown> = {
  encode(value) {
    const encoded = JSON.stringify(value)
    if (encoded === undefined) throw new TypeError(`json: ${typeof value} has no JSON form`)
    return Buffer.from(encoded, 'utf8')
  },
  decode(bytes) {
    const source = text.decode(bytes)
    try {
      return JSON.parse(source)
    } catch (cause) {
      throw new EtcdError('not valid JSON', { code: 'DECODE_FAILED', effect: 'none', cause })
    }
  },
}
