import { type Codec, text } from './codec.js'
import { EtcdError, InvalidArgumentError, isEtcdError } from './errors.js'
import { describe } from './validate.js'

const empty = Buffer.alloc(0)

/**
 * A key with its value and history, as etcd returns it.
 *
 * `key` and `value` are views of the answer they came in: copy them (`Buffer.from(kv.value)`) to keep a small one for
 * long without the rest of a large answer.
 */
export class KeyValue {
  key: Buffer = empty
  value: Buffer = empty
  /** The revision that created the key, since it was last deleted. */
  createRevision = 0
  /** The revision that wrote it last. */
  modRevision = 0
  /** How often it was written since it was created; 1 is a new key. */
  version = 0
  /** The lease it is attached to, in hexadecimal as etcdctl prints it; `undefined` for none. */
  lease: string | undefined = undefined

  /** The key as text; throws `DECODE_FAILED` where it is not valid UTF-8. */
  get keyText(): string {
    return decoded(text, this.key, () => `the key ${shown(this.key)}`)
  }

  /** The value as text; throws `DECODE_FAILED` where it is not valid UTF-8. */
  get valueText(): string {
    return decodeValue(this, text)
  }

  /** The value decoded by `codec`, for example `kv.as(json<Config>())`. */
  as<T>(codec: Codec<T>): T {
    if (typeof codec?.decode !== 'function') {
      throw new InvalidArgumentError(`as() takes a codec such as json(), got ${describe(codec)}`)
    }
    return decodeValue(this, codec)
  }
}

/** Reads the value of a key. `DECODE_FAILED` names the key; what else a codec throws is the caller's own. */
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

/** A key for the eye. */
function shown(key: Buffer): string {
  return JSON.stringify(key.toString())
}
