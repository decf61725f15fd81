import { type Codec, json, text } from '../core/codec.js'
import { decodeValue, type KeyValue } from '../core/key-value.js'
import { type Entry, entryOf } from './entry.js'

/** How an informer processes keys. */
export interface ReaderOptions<T> {
  readonly codec: Codec<T>
  readonly filter: ((value: T, entry: Entry<T>) => boolean) | undefined
  readonly transform: ((value: T, entry: Entry<T>) => T) | undefined
}

/** Codecs that keep no reference to the input bytes. */
const copying: ReadonlySet<object> = new Set([text, json()])

/** Creates entries from keys. */
export class EntryReader<T> {
  readonly #options: ReaderOptions<T>
  readonly #keepsViews: boolean

  constructor(options: ReaderOptions<T>) {
    this.#options = options
    this.#keepsViews = !copying.has(options.codec)
  }

  /** Returns the entry of a key; `undefined` if the filter excludes it. Throws what the user's functions throw. */
  read(kv: KeyValue, id?: string): Entry<T> | undefined {
    const { codec, filter, transform } = this.#options
    // A codec that keeps a view of the value would keep the whole response in memory.
    const value = this.#keepsViews ? Buffer.from(kv.value) : kv.value
    const entry = entryOf(kv, decodeValue({ key: kv.key, value }, codec), id)
    if (filter !== undefined && !filter(entry.value, entry)) return undefined
    return transform === undefined ? entry : { ...entry, value: transform(entry.value, entry) }
  }

  /** Whether two entries of a key are equal, even if one is from another cluster. */
  isSame(one: Entry<T>, other: Entry<T>): boolean {
    const { codec } = this.#options
    const hasSameHistory =
      one.modRevision === other.modRevision &&
      one.createRevision === other.createRevision &&
      one.version === other.version &&
      one.lease === other.lease
    try {
      return hasSameHistory && Buffer.compare(codec.encode(one.value), codec.encode(other.value)) === 0
    } catch {
      // A codec without `encode()`: treat the entries as different.
      return false
    }
  }
}
