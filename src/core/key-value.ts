import { checkDecoder, type Decoder, text } from './codec.js'
import { EtcdError, isEtcdError } from './errors.js'
import { type BytesInJson, bytesInJson, printedBytes, printInConsole } from './printing.js'

const empty = Buffer.alloc(0)

/**
 * A key in JSON. Bytes that are UTF-8 are text in `key` and `value`; others are base64 in `keyBase64` and `valueBase64`. `lease` is
 * missing without a lease.
 */
export interface KeyValueJson extends BytesInJson<'key'>, BytesInJson<'value'> {
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly lease?: string | undefined
}

/**
 * A key with its value and metadata. `console.log()` prints both as text, and `JSON.stringify()` writes a `KeyValueJson`.
 *
 * `key` and `value` are views of the response buffer. To keep a small value for long without the memory of a large response,
 * copy it: `Buffer.from(kv.value)`. Also copy bytes before you change them: the results of equal concurrent reads, and the
 * events of equal watches, share them.
 */
export class KeyValue {
  static {
    printInConsole(this, printed)
  }
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
  as<T>(codec: Decoder<T>): T {
    checkDecoder('as()', codec)
    return decodeValue(this, codec)
  }

  /** The key and its value for JSON: as text, or in base64 if they are not UTF-8. */
  toJSON(): KeyValueJson {
    const { key, value, createRevision, modRevision, version, lease } = this
    return { ...bytesInJson('key', key), ...bytesInJson('value', value), createRevision, modRevision, version, lease }
  }
}

/** Without the revision of the creation, which is rarely of interest, so that a short key takes one line. */
function printed({ key, value, modRevision, version, lease }: KeyValue): object {
  return { key: printedBytes(key), value: printedBytes(value), modRevision, version, lease }
}

/** Decodes the value of a key. The message of `DECODE_FAILED` has the key; other errors of a codec are passed on. */
export function decodeValue<T>({ key, value }: Pick<KeyValue, 'key' | 'value'>, codec: Decoder<T>): T {
  return decoded(codec, value, () => `the value of ${shown(key)}`)
}

function decoded<T>(codec: Decoder<T>, bytes: Buffer, what: () => string): T {
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
