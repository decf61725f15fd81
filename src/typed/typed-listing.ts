import { printAs, printedFields } from '../core/printing.js'
import { type InvalidEntry, invalidEntry } from '../informer/draft.js'
import type { Entry } from '../informer/entry.js'
import type { Listing, ListOptions } from '../kv/listing.js'
import type { ValueCodec } from './value-codec.js'

/** Options of `list()` of typed values. */
export interface TypedListOptions extends Omit<ListOptions, 'keysOnly'> {
  /**
   * Called for each key whose value cannot be decoded; the listing leaves it out.
   * @default the listing throws `DECODE_FAILED`
   */
  readonly onInvalid?: ((invalid: InvalidEntry) => void) | undefined
}

/**
 * The keys of a range with typed values, in key order and at one revision. Each iteration reads the range again, page by page;
 * see `Listing`.
 */
export class TypedListing<T> implements AsyncIterable<Entry<T>> {
  static {
    printAs(this, (listing) => printedFields(listing.#listing))
  }
  readonly #listing: Listing
  readonly #codec: ValueCodec<T, never>
  readonly #onInvalid: TypedListOptions['onInvalid']

  /** @internal Made by `list()`. */
  constructor(listing: Listing, codec: ValueCodec<T, never>, onInvalid: TypedListOptions['onInvalid']) {
    this.#listing = listing
    this.#codec = codec
    this.#onInvalid = onInvalid
  }

  /** Reads the values one after the other. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Entry<T>, undefined, undefined> {
    for await (const { kvs } of this.#listing.pages()) yield* this.#entries(kvs)
    return undefined
  }

  /** Reads the whole range into an array, in key order; all values are in memory then. */
  async toArray(): Promise<Entry<T>[]> {
    return this.#entries(await this.#listing.toArray())
  }

  /** Reads the whole range into a map from key to value. */
  async toMap(): Promise<Map<string, T>> {
    const entries = await this.toArray()
    return new Map(entries.map(({ keyText, value }) => [keyText, value]))
  }

  /** Reads the first key, and only that key; `undefined` if the range has no keys or `onInvalid` was called for it. */
  async first(): Promise<Entry<T> | undefined> {
    const kv = await this.#listing.first()
    return kv && this.#entries([kv])[0]
  }

  #entries(kvs: Awaited<ReturnType<Listing['toArray']>>): Entry<T>[] {
    const onInvalid = this.#onInvalid
    if (onInvalid === undefined) return kvs.map((kv) => this.#codec.entry(kv))
    return kvs.flatMap((kv) => {
      try {
        return [this.#codec.entry(kv)]
      } catch (error) {
        onInvalid(invalidEntry(kv, error))
        return []
      }
    })
  }
}
