import { onAbort } from '../core/abort.js'
import { InvalidArgumentError } from '../core/errors.js'
import { type EncodedRange, emptyKey, encodeRange, type KeyRange } from '../core/key-range.js'
import { assertKnownOptions, oneOf, optionalBoolean, optionalSignal, positiveInteger } from '../core/validate.js'
import type { Obstacle } from '../core/wait.js'
import type { FilterType } from '../protobuf/generated/messages.js'
import { type RangePages, ResyncQueue } from './resync-queue.js'
import type { WatchSpec } from './server-watch.js'
import type { WatchBatch } from './watch-event.js'
import type { WatchMultiplexer } from './watch-multiplexer.js'
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
  /**
   * What to do when history that the watch needs is compacted, as may happen while it is disconnected: `throw` a
   * `CompactedError`, or `resync`: list the range and tell the difference in one batch, marked `resync`, then go on. Of keys
   * that the watch has not told of, it cannot tell the deletion.
   * @default 'throw'
   */
  readonly onCompacted?: 'throw' | 'resync' | undefined
  /** Events that may wait for the consumer before the member is held back; 64 MiB of them have the same effect. @default 10 000 */
  readonly maxBufferedEvents?: number | undefined
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
  readonly multiplexer: WatchMultiplexer
  readonly obstacle: Obstacle
  readonly translation: WatchTranslation | undefined
  /** Reads a range, as the keyspace has it. */
  pages(range: KeyRange): RangePages
  /** Told of each watch that is begun; returns what is to be told of its end. */
  readonly opened?: (spec: WatchSpec, watch: OpenedWatch) => (error?: unknown) => void
}

/** What is known of a watch while it lasts. */
export type OpenedWatch = Pick<
  WatchQueue,
  'ready' | 'state' | 'endpoint' | 'revision' | 'lag' | 'buffered' | 'reconnects'
>

const optionNames = ['startRevision', 'prevKv', 'only', 'progress', 'onCompacted', 'maxBufferedEvents', 'signal']
const defaultMaxBufferedEvents = 10_000
const filtersOf: Readonly<Record<'put' | 'delete', readonly FilterType[]>> = { put: ['NODELETE'], delete: ['NOPUT'] }

/** Begins to watch a range. */
export function watch(scope: WatchScope, range: KeyRange, options: WatchOptions): Watcher {
  checkOptions(options)
  const { multiplexer, obstacle } = scope
  const { signal, startRevision } = options
  const spec = specOf(scope, range, options)
  let removeListener = (): void => {}
  const queue = queueOf(scope, range, spec, options, (error) => {
    removeListener()
    ended?.(error)
  })
  const ended = scope.opened?.(spec, queue)
  removeListener = onAbort(signal, (reason) => {
    multiplexer.unsubscribe(queue)
    queue.fail(reason)
  })
  if (signal?.aborted !== true) multiplexer.subscribe(spec, startRevision, queue)
  return new Watcher(queue, {
    obstacle,
    leave: () => multiplexer.unsubscribe(queue),
    requestProgress: () => multiplexer.requestProgress(queue),
    lastMessageAt: () => multiplexer.lastMessageAt(queue),
    ping: () => multiplexer.ping(queue),
  })
}

function specOf({ translation }: WatchScope, range: KeyRange, { prevKv = false, only }: WatchOptions): WatchSpec {
  const encoded = encodeRange(range)
  if (encoded.key.length === 0) throw emptyKey()
  const { key, rangeEnd } = translation === undefined ? encoded : translation.range(encoded)
  return { key, rangeEnd, prevKv, filters: only === undefined ? [] : filtersOf[only] }
}

function queueOf(
  { multiplexer, translation, pages }: WatchScope,
  range: KeyRange,
  spec: WatchSpec,
  { maxBufferedEvents = defaultMaxBufferedEvents, progress = false, onCompacted, only }: WatchOptions,
  onEnded: (error?: unknown) => void,
): WatchQueue {
  const map = translation?.batch ?? ((batch: WatchBatch) => batch)
  const options = { maxBufferedEvents, progress, map, onEnded }
  if (onCompacted !== 'resync') return new WatchQueue(multiplexer, options)
  if (only === 'delete') {
    throw new InvalidArgumentError('`onCompacted: "resync"` needs to see puts, got it together with `only: "delete"`')
  }
  const resume = (queue: WatchQueue, revision: number): void => multiplexer.subscribe(spec, revision, queue)
  const source = { pages: pages(range), closing: multiplexer.closing, history: () => multiplexer.history, resume }
  return new ResyncQueue(multiplexer, { ...options, only, source })
}

function checkOptions(options: WatchOptions): void {
  assertKnownOptions('watch()', options, optionNames)
  if (options.startRevision !== undefined) positiveInteger('startRevision', options.startRevision)
  if (options.maxBufferedEvents !== undefined) positiveInteger('maxBufferedEvents', options.maxBufferedEvents)
  if (options.only !== undefined) oneOf('only', options.only, ['put', 'delete'])
  if (options.onCompacted !== undefined) oneOf('onCompacted', options.onCompacted, ['throw', 'resync'])
  optionalBoolean('prevKv', options.prevKv)
  optionalBoolean('progress', options.progress)
  optionalSignal('signal', options.signal)
}
