import { type EncodedRange, emptyKey, encodeRange, type KeyRange } from '../core/key-range.js'
import { assertKnownOptions, oneOf, optionalBoolean, optionalSignal, positiveInteger } from '../core/validate.js'
import type { FilterType } from '../gen/messages.js'
import type { WatchBatch } from './watch-event.js'
import type { WatchHub } from './watch-hub.js'
import { WatchQueue } from './watch-queue.js'
import { Watcher } from './watcher.js'

/** Options of `watch()`. */
export interface WatchOptions {
  /**
   * The first revision to tell of; history is kept until it is compacted. To go on from a read, its `revision + 1`.
   * @default from now on
   */
  readonly startRevision?: number | undefined
  /** Events hold the key as it was before, while history has it. @default false */
  readonly prevKv?: boolean | undefined
  /** Only puts, or only deletions. @default both */
  readonly only?: 'put' | 'delete' | undefined
  /** `batches()` gives empty ones, too, that tell how far the watch is. @default false */
  readonly progress?: boolean | undefined
  /** Events that may wait for the consumer before the member is held back. @default 10 000 */
  readonly bufferLimit?: number | undefined
  /** Ends the watch: the iteration throws its reason. */
  readonly signal?: AbortSignal | undefined
}

/** Takes ranges into a namespace, and what happens there out of it. */
export interface WatchTranslation {
  range(range: EncodedRange): EncodedRange
  batch(batch: WatchBatch): WatchBatch
}

/** Where the watches of a keyspace are made. */
export interface WatchScope {
  readonly hub: WatchHub
  readonly translation: WatchTranslation | undefined
}

const optionNames = ['startRevision', 'prevKv', 'only', 'progress', 'bufferLimit', 'signal']
const defaultBufferLimit = 10_000
const filtersOf: Readonly<Record<'put' | 'delete', readonly FilterType[]>> = { put: ['NODELETE'], delete: ['NOPUT'] }

/** Begins to watch a range. */
export function watch({ hub, translation }: WatchScope, range: KeyRange, options: WatchOptions): Watcher {
  checkOptions(options)
  const { only, signal, startRevision } = options
  const encoded = encodeRange(range)
  if (encoded.key.length === 0) throw emptyKey()
  const spec = {
    ...(translation === undefined ? encoded : translation.range(encoded)),
    prevKv: options.prevKv ?? false,
    filters: only === undefined ? [] : filtersOf[only],
  }
  const queue = new WatchQueue(hub, {
    bufferLimit: options.bufferLimit ?? defaultBufferLimit,
    progress: options.progress ?? false,
    map: translation?.batch ?? ((batch) => batch),
  })
  const leave = (): void => {
    signal?.removeEventListener('abort', onAbort)
    hub.unsubscribe(queue)
  }
  const onAbort = (): void => {
    leave()
    queue.onEnd(signal?.reason)
  }
  if (signal?.aborted === true) queue.onEnd(signal.reason)
  else {
    signal?.addEventListener('abort', onAbort, { once: true })
    hub.subscribe(spec, startRevision, queue)
  }
  return new Watcher(queue, leave, () => hub.requestProgress(queue))
}

function checkOptions(options: WatchOptions): void {
  assertKnownOptions('watch()', options, optionNames)
  if (options.startRevision !== undefined) positiveInteger('startRevision', options.startRevision)
  if (options.bufferLimit !== undefined) positiveInteger('bufferLimit', options.bufferLimit)
  if (options.only !== undefined) oneOf('only', options.only, ['put', 'delete'])
  optionalBoolean('prevKv', options.prevKv)
  optionalBoolean('progress', options.progress)
  optionalSignal('signal', options.signal)
}
