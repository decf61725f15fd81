import { type Codec, checkDecoder } from '../core/codec.js'
import { EtcdError, InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { decodeValue, type KeyValue } from '../core/key-value.js'
import { messageOf } from '../core/thrown.js'
import { type Entry, entryOf } from '../informer/entry.js'

/** A codec whose failures name the key, whatever the codec throws. */
export class ValueCodec<T, Input> {
  readonly codec: Codec<T, Input>

  /** Throws `InvalidArgumentError` for anything but a codec. */
  constructor(codec: Codec<T, Input>) {
    this.codec = checked(codec)
  }

  /** Throws `InvalidArgumentError`, before anything is sent. */
  encode(key: Bytes, value: Input): Uint8Array {
    try {
      return this.codec.encode(value)
    } catch (cause) {
      throw new InvalidArgumentError(`the value for ${keyName(key)} cannot be written: ${messageOf(cause)}`, { cause })
    }
  }

  /** Throws `DECODE_FAILED`. */
  decode(kv: KeyValue): T {
    try {
      return decodeValue(kv, this.codec)
    } catch (cause) {
      if (isEtcdError(cause, 'DECODE_FAILED')) throw cause
      const message = `the value of ${keyName(kv.key)}: ${messageOf(cause)}`
      throw new EtcdError(message, { code: 'DECODE_FAILED', effect: 'none', cause })
    }
  }

  entry(kv: KeyValue): Entry<T>
  entry(kv: KeyValue | undefined): Entry<T> | undefined
  entry(kv: KeyValue | undefined): Entry<T> | undefined {
    return kv && entryOf(kv, this.decode(kv))
  }

  /** An entry that is decoded when its value is read, for the result of a transaction that was already applied. */
  lazyEntry(kv: KeyValue | undefined): Entry<T> | undefined {
    if (kv === undefined) return undefined
    const entry = entryOf<T | undefined>(kv, undefined)
    return Object.defineProperty(entry, 'value', { get: () => this.decode(kv), enumerable: true }) as Entry<T>
  }
}

function checked<T, Input>(codec: Codec<T, Input>): Codec<T, Input> {
  checkDecoder('typed()', codec)
  if (typeof codec.encode === 'function') return codec
  throw new InvalidArgumentError('typed() takes a codec such as json(), got one without encode()')
}

function keyName(key: Bytes): string {
  return JSON.stringify(typeof key === 'string' ? key : Buffer.from(key).toString())
}
