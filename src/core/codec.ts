import { EtcdError } from './errors.js'

/**
 * Converts between values of type `T` and the bytes that etcd stores.
 *
 * @example
 * const port: Codec<number> = {
 *   encode: (value) => Buffer.from(String(value)),
 *   decode: (bytes) => Number(bytes.toString()),
 * }
 */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Buffer): T
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The codec of UTF-8 text. Invalid UTF-8 is an error (`DECODE_FAILED`) and is never replaced. */
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

/** The codec of plain bytes. */
export const bytes: Codec<Uint8Array> = { encode: (value) => value, decode: (value) => value }

/**
 * Returns the codec of JSON. Invalid JSON is an error (`DECODE_FAILED`). Decoded values are not validated against `T`.
 *
 * @example
 * const config = kv.as(json<Config>())
 */
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
