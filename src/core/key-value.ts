import { type Codec, text } from './codec.js'
import { EtcdError, InvalidArgumentError, isEtcdError } from './errors.js'
import { describe } from './validate.js'

const empty = Buffer.alloc(0)

/**
 * A key with its value and metadata.
 *
 * `key` and `value` are views of the response buffer. To keep a small value for long without the memory of a large response,
 * copy it: `Buffer.from(kv.value)`.
 */
export class KeyValue {
  key: Buffer = empty
  value: Buffer = empty
  /** The revision that created the key, after its last deletion. */
  createRevision = 0
  /** The revision of the last write. */
  modRevision = 0
  /** How many times the key was written since its creation; 1 for a new key. */
  version = 0
  /** The ID of the attached lease in hexadecimal, as etcdctl prints it; `undefined` for none. */
  lease: string | undefined = undefined

  /** The key as text. @throws `DECODE_FAILED` if it is not valid UTF-8 */
  get keyText(): string {
    return decoded(text, this.key, () => `the key ${shown(this.key)}`)
  }

  /** The value as text. @throws `DECODE_FAILED` if it is not valid UTF-8 */
  get valueText(): string {
    return decodeValue(this, text)
  }

  /**
   * Decodes the value.
   *
   * @throws `DECODE_FAILED` if the value is not valid for the codec.
   * @example
   * const config = kv.as(json<Config>())
   */
  as<T>(codec: Codec<T>): T {
    if (typeof codec?.decode !== 'function') {
      throw new InvalidArgumentError(`as() takes a codec such as json(), got ${describe(codec)}`)
    }
    return decodeValue(this, codec)
  }
}

/** Decodes the value of a key. The message of `DECODE_FAILED` has the key; other errors of a codec are passed on. */
export function decodeValue<T>({ key, value }: Pick<KeyValue, 'key' | 'value'>, codec: Codec<T>): T {
  return decoded(codec, value, () => `the value of ${shown(key)}`)
}

function decoded<T>(codec: Codec<T>, bytes: Buffer, what: () => string): T {
  try {
    return codec.decode(bytes)
  } catch (error) {
    if (!isEtcdError(error, 'DECODE_FAILED')) throw error
    const { rawMessage, code, effect, cause } = error
    throw new EtcdError(`${what()}: ${rawMessage}`, { code, effect, cause })
  }
}

/** A key for messages. */
function shown(key: Buffer): string {
  return JSON.stringify(key.toString())
}
