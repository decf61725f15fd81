import type { Codec } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import { type Bytes, type KeyRange, printedKey } from '../core/key-range.js'
import { printAs } from '../core/printing.js'
import { assertFunction, assertOptions, describe } from '../core/validate.js'
import type { Entry } from '../informer/entry.js'
import type { Informer } from '../informer/informer.js'
import type { CodecInformerOptions, InformerOptions } from '../informer/informer-options.js'
import type { ValueInformer } from '../informer/value-informer.js'
import type { Kv } from '../kv/kv.js'
import type { CountOptions, DeleteOptions, GetOptions, PutIfOptions, PutOptions } from '../kv/requests.js'
import type { ConditionalResult, DeleteResult, PutResult, ResponseInfo, UpdateResult } from '../kv/results.js'
import type { UpdateOptions } from '../kv/update.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchOptions } from '../watch/watch.js'
import type { Watcher } from '../watch/watcher.js'
import { TypedListing, type TypedListOptions } from './typed-listing.js'
import { TypedOperations } from './typed-operations.js'
import { TypedWatcher } from './typed-watcher.js'
import { ValueCodec } from './value-codec.js'

/** The keyspace of the typed values: their prefix is removed from its keys. */
export interface TypedStore
  extends Pick<
    Kv,
    'get' | 'exists' | 'count' | 'list' | 'put' | 'putIf' | 'delete' | 'deleteIf' | 'deleteRange' | 'update'
  > {
  watch(range: KeyRange | readonly KeyRange[], options?: WatchOptions): Watcher
  informer<T, Name extends string>(range: KeyRange, options: CodecInformerOptions<T, Name>): Informer<T, Name>
  value<T>(key: Bytes, codec: Codec<T, never>): ValueInformer<T>
}

/** Options of `get()` and `entry()` of typed values. */
export type TypedGetOptions = Omit<GetOptions, 'keysOnly'>

/** The result of `putIf()` and `deleteIf()` of typed values. */
export type TypedConditionalResult<T> =
  | (ResponseInfo & { readonly succeeded: true })
  /** The key had another revision: nothing was changed, and `current` is its state. */
  | (ResponseInfo & { readonly succeeded: false; readonly current: Entry<T> | undefined })

/** Makes the new value from the current one: `null` deletes the key, `undefined` leaves it as it is. */
export type TypedUpdateFunction<T, Input> = (
  current: T | undefined,
  entry: Entry<T> | undefined,
) => Input | null | undefined | Promise<Input | null | undefined>

const everything = { prefix: '' } as const

/**
 * The keys with a prefix, with values of one type: `T` where they are read, `Input` where they are written, which differ only if the
 * codec has a schema with defaults or transforms. Returned by `typed()`. Keys are without the prefix.
 *
 * A value that cannot be written is rejected with an `InvalidArgumentError` before anything is sent. A value that cannot be decoded
 * is never returned: `get()` and listings throw `DECODE_FAILED` with the key, a watch delivers an event of the type `invalid`, and
 * an informer keeps the last valid value and emits `invalid`.
 *
 * Apart from that, the methods have the options and errors of the methods of the same name of the client.
 *
 * @example
 * ```ts
 * const users = etcd.typed('users/', json<User>())
 * await users.put('ada', { name: 'Ada' })
 * console.log((await users.get('ada'))?.name)
 * ```
 */
export class TypedKeyspace<T, Input = T> {
  static {
    printAs(this, (typed) => ({ prefix: printedKey(typed.#prefix) }))
  }
  readonly #store: TypedStore
  readonly #prefix: Bytes
  readonly #codec: ValueCodec<T, Input>
  /** Operations and comparisons for a transaction of the keyspace that `typed()` was called on. */
  readonly ops: TypedOperations<T, Input>

  /** @internal Made by `typed()`. */
  constructor(store: TypedStore, prefix: Bytes, codec: Codec<T, Input>) {
    this.#store = store
    this.#prefix = prefix
    this.#codec = new ValueCodec(codec)
    this.ops = new TypedOperations(prefix, this.#codec)
  }

  /** Reads a value; `undefined` if the key does not exist. @throws `DECODE_FAILED` if the value cannot be decoded */
  async get(key: Bytes, options?: TypedGetOptions): Promise<T | undefined> {
    return (await this.entry(key, options))?.value
  }

  /** Reads a value with its metadata; `undefined` if the key does not exist. @throws `DECODE_FAILED` if the value cannot be decoded */
  async entry(key: Bytes, options?: TypedGetOptions): Promise<Entry<T> | undefined> {
    refuseKeysOnly('get()', options)
    return this.#codec.entry(await this.#store.get(key, options))
  }

  /** Checks whether a key exists, without reading its value. */
  exists(key: Bytes, options?: CountOptions): Promise<boolean> {
    return this.#store.exists(key, options)
  }

  /** Counts the keys, by default all of them. */
  count(range: KeyRange = everything, options?: CountOptions): Promise<number> {
    return this.#store.count(range, options)
  }

  /** Writes a value. The previous one is not decoded: `result.prevKv?.as(codec)`. */
  async put(key: Bytes, value: Input, options?: PutOptions): Promise<PutResult> {
    return this.#store.put(key, this.#codec.encode(key, value), options)
  }

  /** Writes a value if the key's `modRevision` is as expected; 0 for a key that does not exist. */
  async putIf(
    key: Bytes,
    value: Input,
    modRevision: number,
    options?: PutIfOptions,
  ): Promise<TypedConditionalResult<T>> {
    return this.#typed(await this.#store.putIf(key, this.#codec.encode(key, value), modRevision, options))
  }

  /**
   * Updates a value atomically: reads it, calls `change` with it, and writes the result if the key has not been written meanwhile.
   * `change` may be called several times.
   *
   * @throws `DECODE_FAILED` if the current value cannot be decoded; nothing is written then.
   */
  update(key: Bytes, change: TypedUpdateFunction<T, Input>, options?: UpdateOptions): Promise<UpdateResult> {
    if (typeof change !== 'function') {
      return Promise.reject(new InvalidArgumentError(`update() takes a function, got ${describe(change)}`))
    }
    const encoded = async (entry: Entry<T> | undefined): Promise<Uint8Array | null | undefined> => {
      const value: Input | null | undefined = await change(entry?.value, entry)
      if (value === undefined) return undefined
      return value === null ? null : this.#codec.encode(key, value)
    }
    return this.#store.update(key, (current) => encoded(this.#codec.entry(current)), options)
  }

  /** Deletes a key. */
  delete(key: Bytes, options?: DeleteOptions): Promise<DeleteResult> {
    return this.#store.delete(key, options)
  }

  /** Deletes a key if its `modRevision` is as expected. */
  async deleteIf(key: Bytes, modRevision: number, options?: CallOptions): Promise<TypedConditionalResult<T>> {
    return this.#typed(await this.#store.deleteIf(key, modRevision, options))
  }

  /** Deletes the keys of a range at one revision. */
  deleteRange(range: KeyRange, options?: DeleteOptions): Promise<DeleteResult> {
    return this.#store.deleteRange(range, options)
  }

  /** Lists a range, by default all keys, at one revision. Nothing is sent before the iteration starts. */
  list(range: KeyRange = everything, options: TypedListOptions = {}): TypedListing<T> {
    refuseKeysOnly('list()', options)
    const { onInvalid, ...others } = options
    if (onInvalid !== undefined) assertFunction('onInvalid', onInvalid)
    return new TypedListing(this.#store.list(range, others), this.#codec, onInvalid)
  }

  /** Watches a range, by default all keys. An event whose value cannot be decoded has the type `invalid`. */
  watch(range: KeyRange | readonly KeyRange[] = everything, options?: WatchOptions): TypedWatcher<T> {
    return new TypedWatcher(this.#store.watch(range, options), this.#codec)
  }

  /** Starts an in-memory copy of a range, by default of all keys, that follows the cluster. */
  informer<Name extends string = never>(
    range: KeyRange = everything,
    options?: Omit<InformerOptions<T, Name>, 'codec'>,
  ): Informer<T, Name> {
    if (options !== undefined) refuseCodec(options)
    return this.#store.informer<T, Name>(range, { ...options, codec: this.#codec.codec })
  }

  /** Starts an in-memory copy of one value that follows the cluster. */
  value(key: Bytes): ValueInformer<T> {
    return this.#store.value(key, this.#codec.codec)
  }

  #typed(result: ConditionalResult): TypedConditionalResult<T> {
    return result.succeeded ? result : { ...result, current: this.#codec.entry(result.current) }
  }
}

/** Values that were not read cannot be decoded. */
function refuseKeysOnly(owner: string, options: object | undefined): void {
  if (options === undefined) return
  assertOptions(owner, options)
  if (!('keysOnly' in options) || options.keysOnly === undefined) return
  throw new InvalidArgumentError(
    `unknown option \`keysOnly\` of ${owner} of typed values: use exists(), count() or the client`,
  )
}

function refuseCodec(options: object): void {
  assertOptions('informer()', options)
  if (!('codec' in options) || options.codec === undefined) return
  throw new InvalidArgumentError('unknown option `codec` of informer() of typed values: they have one')
}
