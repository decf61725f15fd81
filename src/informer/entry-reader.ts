import { type Codec, json, text } from '../core/codec.js'
import { decodeValue, type KeyValue } from '../core/key-value.js'
import { type Entry, entryOf } from './entry.js'

/** What an informer makes of the keys that it reads. */
export interface ReaderOptions<T> {
  readonly codec: Codec<T>
  readonly filter: ((value: T, entry: Entry<T>) => boolean) | undefined
  readonly transform: ((value: T, entry: Entry<T>) => T) | undefined
}

/** Codecs that keep nothing of the bytes that they are given. */
const copying: ReadonlySet<object> = new Set([text, json()])

/** Makes entries of keys. */
export class EntryReader<T> {
  readonly #options: ReaderOptions<T>
  readonly #keepsViews: boolean

  constructor(options: ReaderOptions<T>) {
    this.#options = options
    this.#keepsViews = !copying.has(options.codec)
  }

  /** The entry of a key; `undefined` where the filter leaves it out. Throws what the functions of the options throw. */
  read(kv: KeyValue, id?: string): Entry<T> | undefined {
    const { codec, filter, transform } = this.#options
    // A view that a codec keeps of a value would keep the whole answer in memory.
    const value = this.#keepsViews ? Buffer.from(kv.value) : kv.value
    const entry = entryOf(kv, decodeValue({ key: kv.key, value }, codec), id)
    if (filter !== undefined && !filter(entry.value, entry)) return undefined
    return transform === undefined ? entry : { ...entry, value: transform(entry.value, entry) }
  }

  /** Whether two entries of a key say the same, although one may be of another cluster. */
  isSame(one: Entry<T>, other: Entry<T>): boolean {
    const { codec } = this.#options
    const hasSameHistory =
      one.modRevision === other.modRevision &&
      one.createRevision === other.createRevision &&
      one.version === other.version
    try {
      return hasSameHistory && Buffer.compare(codec.encode(one.value), codec.encode(other.value)) === 0
    } catch {
      // A codec that only decodes: then they are told as an update.
      return false
    }
  }
}
