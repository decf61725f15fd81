import { type Codec, text } from './codec.js'
import { InvalidArgumentError } from './errors.js'
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
    return text.decode(this.key)
  }

  /** The value as text; throws `DECODE_FAILED` where it is not valid UTF-8. */
  get text(): string {
    return text.decode(this.value)
  }

  /** The value decoded by `codec`, for example `kv.as(json<Config>())`. */
  as<T>(codec: Codec<T>): T {
    if (typeof codec?.decode !== 'function') {
      throw new InvalidArgumentError(`as() takes a codec such as json(), got ${describe(codec)}`)
    }
    return codec.decode(this.value)
  }
}
