import { isEtcdError } from '../core/errors.js'
import { encodeRange, type KeyRange, printedRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { printAs } from '../core/printing.js'
import type { ReadPolicy } from '../core/read-policy.js'
import type { CallOptions } from '../transport/transport.js'
import { encodeCursor } from './cursor.js'
import { type Fetch, fetchPage, type PageSize } from './page-fetch.js'
import { PageKeys } from './page-keys.js'
import { type RangeStreams, type StreamedPart, streamedParts } from './range-stream.js'
import { afterLast, type RangeOptions, rangeRequest } from './requests.js'
import type { RangeResult } from './results.js'

/** Options of `list()`. */
export interface ListOptions extends ReadPolicy, CallOptions {
  /** Lists the range as it was at this revision. @default the revision of the first page */
  readonly revision?: number | undefined
  /** Omits the values. @default false */
  readonly keysOnly?: boolean | undefined
  /** Continues after an earlier listing or `range()` of the same range, at its revision. */
  readonly cursor?: string | undefined
  /** Maximum number of keys per page. Pages start with 500 keys at most, and double. @default 10 000 */
  readonly maxPageSize?: number | undefined
  /**
   * What to do if the listing's revision is compacted before its end: `throw` a `CompactedError`, or `restart` with the
   * first page at the current revision, which repeats keys.
   * @default 'throw'
   */
  readonly onCompacted?: 'throw' | 'restart' | undefined
  /** Called before the first page of a restart. */
  readonly onRestart?: (() => void) | undefined
}

/** One page of a listing, at the `revision` of all pages. */
export interface Page {
  readonly kvs: KeyValue[]
  readonly revision: number
  /** Number of keys left in the range, including this page. */
  readonly count: number
  /** For the `cursor` option of a later listing; `undefined` on the last page. */
  readonly cursor: string | undefined
}

/** Reads one page: at most `limit` keys of the range, from the cursor on. */
export type PageReader = (range: KeyRange, options: RangeOptions & { readonly limit: number }) => Promise<FetchedPage>

/** A page and the size of its response. */
export interface FetchedPage {
  readonly result: RangeResult
  readonly bytes: number
}

const firstPageSize = 500
const defaultMaxPageSize = 10_000
/** After this silence of a stream, the listing continues with pages from any member. */
const maxSilenceMs = 3000
/** The target size of a page, independent of the size of the values. */
const pageBytes = 2 * 1024 * 1024

/**
 * All keys of a range in key order, at one revision. Iterate over the keys, or over `pages()`. At most two pages are in
 * memory: the current one and the next, which is fetched meanwhile. Leaving the loop cancels that fetch. `toArray()` and
 * `toMap()` read the whole range into memory, `first()` reads one key. Each iteration and each of these calls reads the range
 * again.
 *
 * If a page takes longer than a second, a single key is read beside it, so that large values arrive over a slow link as
 * well.
 *
 * The first page is an ordinary read and determines the revision. A member of etcd 3.7 or newer sends all further pages as
 * one stream, at the pace of the consumer. If the stream fails, and from older members, pages are read one by one, from any
 * member.
 */
export class Listing implements AsyncIterable<KeyValue> {
  static {
    printAs(this, (listing) => printedRange(listing.#range))
  }
  readonly #read: PageReader
  readonly #range: KeyRange
  readonly #options: ListOptions
  readonly #streams: RangeStreams | undefined

  constructor(read: PageReader, range: KeyRange, options: ListOptions, streams?: RangeStreams) {
    this.#read = read
    this.#streams = streams
    this.#range = range
    this.#options = options
  }

  /** Reads the keys one after the other. */
  [Symbol.asyncIterator](): AsyncIterableIterator<KeyValue, undefined> {
    return new PageKeys(this.pages())
  }

  /**
   * Reads the whole range into an array, in key order. All keys and values are in memory then: iterate over a large range
   * instead. After a restart (`onCompacted: 'restart'`) the array has each key once, at the last revision.
   *
   * @example
   * ```ts
   * const users = await etcd.list({ prefix: 'users/' }).toArray()
   * ```
   */
  async toArray(): Promise<KeyValue[]> {
    const kvs: KeyValue[] = []
    const onRestart = (): void => {
      kvs.length = 0
      this.#options.onRestart?.()
    }
    const options = { ...this.#options, onRestart }
    for await (const page of new Listing(this.#read, this.#range, options, this.#streams).pages()) {
      for (const kv of page.kvs) kvs.push(kv)
    }
    return kvs
  }

  /**
   * Reads the whole range into a map from the text of each key to the key with its value. The memory is that of `toArray()`.
   *
   * @throws `DECODE_FAILED` if a key is not valid UTF-8.
   * @example
   * ```ts
   * const config = await etcd.list({ prefix: 'config/' }).toMap()
   * const port = config.get('config/port')?.valueText
   * ```
   */
  async toMap(): Promise<Map<string, KeyValue>> {
    const kvs = await this.toArray()
    return new Map(kvs.map((kv) => [kv.keyText, kv]))
  }

  /**
   * Reads the first key of the range, and only that key.
   *
   * @returns The key with its value; `undefined` if the range has no keys.
   */
  async first(): Promise<KeyValue | undefined> {
    const { revision, cursor, keysOnly, mode, prefer, fallback, timeoutMs, signal, onCompacted, onRestart } =
      this.#options
    const options = { keysOnly, mode, prefer, fallback, timeoutMs, signal, limit: 1 }
    try {
      const { result } = await this.#read(this.#range, { ...options, revision, cursor })
      return result.kvs[0]
    } catch (error) {
      if (onCompacted !== 'restart' || !isEtcdError(error, 'COMPACTED')) throw error
      onRestart?.()
      const { result } = await this.#read(this.#range, options)
      return result.kvs[0]
    }
  }

  /**
   * The listing page by page; `timeoutMs` applies to each page.
   *
   * @throws `COMPACTED` if the revision is compacted meanwhile and `onCompacted` is not `restart`.
   */
  async *pages(): AsyncGenerator<Page, void, undefined> {
    const canceled = new AbortController()
    const { signal } = this.#options
    const onAbort = (): void => canceled.abort(signal?.reason)
    if (signal?.aborted === true) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      yield* this.#pages(canceled.signal)
    } finally {
      signal?.removeEventListener('abort', onAbort)
      canceled.abort()
    }
  }

  async *#pages(signal: AbortSignal): AsyncGenerator<Page, void, undefined> {
    const { maxPageSize = defaultMaxPageSize, onCompacted, onRestart } = this.#options
    let size = Math.min(firstPageSize, maxPageSize)
    const { revision: startRevision, cursor: startCursor } = this.#options
    const start = startCursor === undefined ? { revision: startRevision } : { cursor: startCursor }
    let next: Promise<Fetch<FetchedPage>> | undefined = this.#fetch(start, { limit: size, isKnown: false }, signal)
    while (next !== undefined) {
      const fetch: Fetch<FetchedPage> = await next
      if ('failure' in fetch) {
        if (onCompacted !== 'restart' || !isEtcdError(fetch.failure, 'COMPACTED')) throw fetch.failure
        onRestart?.()
        next = this.#fetch({}, { limit: size, isKnown: true }, signal)
        continue
      }
      const { kvs, revision, count, cursor }: RangeResult = fetch.page.result
      size = nextSize(size, maxPageSize, kvs.length, fetch.page.bytes)
      const streamed = this.#streamAfter(fetch.page.result, size, signal)
      next =
        cursor === undefined || streamed !== undefined
          ? undefined
          : this.#fetch({ cursor }, { limit: size, isKnown: true }, signal)
      const page = { kvs, revision, count, cursor }
      if (streamed === undefined) yield page
      else {
        const last = yield* this.#withStream(page, size, streamed)
        next =
          last.cursor === undefined
            ? undefined
            : this.#fetch({ cursor: last.cursor }, { limit: size, isKnown: true }, signal)
      }
    }
  }

  /** The pages after this one as a stream, if they are too many for one more page and the member supports streams. */
  #streamAfter(
    { kvs, count, cursor, endpoint, mode, stale }: RangeResult,
    nextPageSize: number,
    signal: AbortSignal,
  ): AsyncGenerator<StreamedPart, void, undefined> | undefined {
    const streams = this.#streams
    if (cursor === undefined || count - kvs.length <= nextPageSize || stale || streams?.serves(endpoint) !== true) {
      return undefined
    }
    const { keysOnly, timeoutMs = Number.POSITIVE_INFINITY } = this.#options
    const request = { ...rangeRequest(this.#range, { cursor, keysOnly }), serializable: mode === 'serializable' }
    const silenceMs = Math.min(timeoutMs, maxSilenceMs)
    return streamedParts({ streams, request, endpoint, silenceMs, signal })
  }

  /**
   * Yields a page and the pages after it, of the size of single pages, from a stream that continues meanwhile. Returns the
   * last one; if the stream has failed, the listing continues behind it.
   */
  async *#withStream(
    first: Page,
    nextPageSize: number,
    parts: AsyncGenerator<StreamedPart, void, undefined>,
  ): AsyncGenerator<Page, Page, undefined> {
    const { maxPageSize = defaultMaxPageSize } = this.#options
    let [page, size, unread] = [first, nextPageSize, [] as KeyValue[]]
    let ahead = parts.next()
    yield page
    for (;;) {
      const part = await ahead
      if (part.done === true) return page
      const { isLast } = part.value
      ahead = parts.next()
      unread = unread.concat(part.value.kvs)
      while (unread.length >= size || (isLast && unread.length > 0)) {
        const kvs = unread.slice(0, size)
        unread = unread.slice(size)
        page = this.#pageAfter(page, kvs, isLast && unread.length === 0)
        size = nextSize(size, maxPageSize, kvs.length, sizeOf(kvs))
        yield page
      }
    }
  }

  #pageAfter({ kvs: before, count, revision }: Page, kvs: KeyValue[], isLast: boolean): Page {
    const cursor = isLast ? undefined : cursorAfter(this.#range, { kvs, more: true, revision })
    return { kvs, revision, count: count - before.length, cursor }
  }

  /** Never rejects: the result is awaited later, and a failure until then, or after a `break`, must not be unhandled. */
  #fetch(
    at: Pick<RangeOptions, 'cursor' | 'revision'>,
    size: PageSize,
    signal: AbortSignal,
  ): Promise<Fetch<FetchedPage>> {
    const { keysOnly, mode, prefer, fallback, timeoutMs } = this.#options
    const options = { ...at, keysOnly, mode, prefer, fallback, timeoutMs }
    return fetchPage(
      (keys, canceled) => this.#read(this.#range, { ...options, limit: keys, signal: canceled }),
      size,
      signal,
    )
  }
}

/** The cursor after a result, if there are more keys. */
export function cursorAfter(
  range: KeyRange,
  result: Pick<RangeResult, 'kvs' | 'more' | 'revision'>,
): string | undefined {
  const next = result.more ? afterLast(result.kvs) : undefined
  return next === undefined ? undefined : encodeCursor(encodeRange(range), { next, revision: result.revision })
}

function nextSize(size: number, maxSize: number, keys: number, bytes: number): number {
  const averageBytes = bytes / Math.max(1, keys)
  const fitting = Math.max(1, Math.floor(pageBytes / Math.max(1, averageBytes)))
  return Math.min(size * 2, maxSize, fitting)
}

/** The approximate size of keys in a response. */
function sizeOf(kvs: readonly KeyValue[]): number {
  return kvs.reduce((bytes, { key, value }) => bytes + key.length + value.length + 32, 0)
}
