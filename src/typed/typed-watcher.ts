import type { KeyValue } from '../core/key-value.js'
import { printAs, printedFields } from '../core/printing.js'
import { type Entry, entryOf } from '../informer/entry.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchBatch, WatchEvent } from '../watch/watch-event.js'
import type { Watcher, WatchStatus } from '../watch/watcher.js'
import type { ValueCodec } from './value-codec.js'

/** @inline */
interface TypedEventCommon {
  readonly keyText: string
  /** The revision of the change. */
  readonly revision: number
  /** The key before the change, with the option `prevKv`. */
  readonly prevKv: KeyValue | undefined
}

/**
 * One change of one key with a typed value. An event whose value cannot be decoded has the type `invalid`: no event is left out,
 * and the watch continues.
 */
export type TypedEvent<T> = TypedEventCommon &
  (
    | {
        readonly type: 'put'
        readonly value: T
        readonly entry: Entry<T>
        /** Whether the put created the key. */
        readonly created: boolean
      }
    | { readonly type: 'delete'; readonly value?: undefined }
    | {
        readonly type: 'invalid'
        readonly value?: undefined
        /** The key with the bytes that were put. */
        readonly kv: KeyValue
        /** `DECODE_FAILED`. */
        readonly error: unknown
      }
  )

/** All events of one revision; see `WatchBatch`. */
export interface TypedBatch<T> extends Omit<WatchBatch, 'events'> {
  readonly events: readonly TypedEvent<T>[]
}

/** The events of a range with typed values. It ends, resumes and is closed as `Watcher` is. */
export class TypedWatcher<T> implements AsyncIterable<TypedEvent<T>>, AsyncDisposable {
  static {
    printAs(this, (watcher) => printedFields(watcher.#watcher))
  }
  readonly #watcher: Watcher
  readonly #codec: ValueCodec<T, never>

  /** @internal Made by `watch()`. */
  constructor(watcher: Watcher, codec: ValueCodec<T, never>) {
    this.#watcher = watcher
    this.#codec = codec
  }

  /** Waits until a member has confirmed the watch; see `Watcher.ready()`. */
  ready(options?: CallOptions): Promise<number> {
    return this.#watcher.ready(options)
  }

  /** The state of the watch at this moment. */
  get status(): WatchStatus {
    return this.#watcher.status
  }

  /** Requests a progress notification; see `Watcher.requestProgress()`. */
  requestProgress(): void {
    this.#watcher.requestProgress()
  }

  /** The events one at a time. */
  [Symbol.asyncIterator](): AsyncIterator<TypedEvent<T>, undefined> {
    return mapped(this.#watcher[Symbol.asyncIterator](), (event) => this.#typed(event))
  }

  /** The events of one revision at a time. */
  batches(): AsyncIterableIterator<TypedBatch<T>, undefined> {
    return mapped(this.#watcher.batches(), (batch) => ({
      ...batch,
      events: batch.events.map((event) => this.#typed(event)),
    }))
  }

  /** Ends the watch and its iteration. */
  close(): Promise<void> {
    return this.#watcher.close()
  }

  /** Same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #typed({ type, kv, prevKv, revision, created }: WatchEvent): TypedEvent<T> {
    if (type === 'delete') return { type, keyText: entryOf(kv, undefined).keyText, revision, prevKv }
    try {
      const entry = this.#codec.entry(kv)
      return { type, keyText: entry.keyText, value: entry.value, entry, revision, created, prevKv }
    } catch (error) {
      return { type: 'invalid', keyText: entryOf(kv, undefined).keyText, kv, error, revision, prevKv }
    }
  }
}

function mapped<From, To>(
  source: AsyncIterator<From, undefined>,
  map: (value: From) => To,
): AsyncIterableIterator<To, undefined> {
  const iterator: AsyncIterableIterator<To, undefined> = {
    async next() {
      const result = await source.next()
      return result.done === true ? result : { value: map(result.value), done: false }
    },
    async return() {
      await source.return?.()
      return { value: undefined, done: true }
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}
