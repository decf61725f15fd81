import { type Bytes, joinKeys } from '../core/key-range.js'
import { KeyValue } from '../core/key-value.js'
import type { Entry } from '../informer/entry.js'
import { type Comparable, type ComparableKey, key } from '../kv/compare.js'
import { type DeleteOpResult, deleteKey, get, Operation, type PutOpResult, put } from '../kv/operation.js'
import type { DeleteFields, GetFields, PutFields } from '../kv/requests.js'
import type { ValueCodec } from './value-codec.js'

/** The properties of a key that a transaction can compare; values are compared as the codec encodes them. */
export interface TypedComparableKey<Input> extends Omit<ComparableKey, 'value'> {
  readonly value: Comparable<Input>
}

/**
 * Operations and comparisons on typed values for a transaction of the keyspace that `typed()` was called on. Operations of several
 * types can be combined.
 *
 * @example
 * ```ts
 * const { ops } = etcd.typed('users/', json<User>())
 * await etcd.txn().if(ops.key('ada').missing()).then(ops.put('ada', { name: 'Ada' })).else(ops.get('ada')).commit()
 * ```
 */
export class TypedOperations<T, Input> {
  readonly #prefix: Bytes
  readonly #codec: ValueCodec<T, Input>

  /** @internal Made by `typed()`. */
  constructor(prefix: Bytes, codec: ValueCodec<T, Input>) {
    this.#prefix = prefix
    this.#codec = codec
  }

  /** Compares properties of one key. */
  key(name: Bytes): TypedComparableKey<Input> {
    const comparable = key(this.#join(name))
    const { equals, notEquals, greater, less } = comparable.value
    const encode = (value: Input): Uint8Array => this.#codec.encode(name, value)
    return {
      ...comparable,
      value: {
        equals: (value) => equals(encode(value)),
        notEquals: (value) => notEquals(encode(value)),
        greater: (value) => greater(encode(value)),
        less: (value) => less(encode(value)),
      },
    }
  }

  /**
   * Reads a key. The value is decoded when `value` of the result is read, which throws `DECODE_FAILED` then: the transaction itself
   * has been applied.
   */
  get(name: Bytes, options?: Pick<GetFields, 'revision'>): Operation<Entry<T> | undefined> {
    const { request, read } = get(this.#join(name), options)
    return new Operation(request, (response) => this.#codec.lazyEntry(this.#withoutPrefix(read(response))))
  }

  /** Writes a key. @throws `InvalidArgumentError` if the codec rejects the value */
  put(name: Bytes, value: Input, options?: PutFields): Operation<PutOpResult> {
    return put(this.#join(name), this.#codec.encode(name, value), options)
  }

  /** Deletes a key. */
  deleteKey(name: Bytes, options?: DeleteFields): Operation<DeleteOpResult> {
    return deleteKey(this.#join(name), options)
  }

  #withoutPrefix(kv: KeyValue | undefined): KeyValue | undefined {
    return kv && Object.assign(new KeyValue(), kv, { key: kv.key.subarray(Buffer.byteLength(this.#prefix)) })
  }

  #join(name: Bytes): Bytes {
    return joinKeys(this.#prefix, name)
  }
}
