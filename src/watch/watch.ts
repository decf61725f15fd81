import { onAbort } from '../core/abort.js'
import { InvalidArgumentError } from '../core/errors.js'
import { type EncodedRange, emptyKey, encodeRange, type KeyRange } from '../core/key-range.js'
import { assertKnownOptions, oneOf, optionalBoolean, optionalSignal, positiveInteger } from '../core/validate.js'
import type { Obstacle } from '../core/wait.js'
import type { FilterType } from '../protobuf/generated/messages.js'
import { MergedWatch } from './merged-watch.js'
import { coveringRange, disjointRanges } from './range-union.js'
import { type RangePages, ResyncQueue } from './resync-queue.js'
import type { WatchSpec } from './server-watch.js'
import type { WatchBatch } from './watch-event.js'
import type { WatchMultiplexer } from './watch-multiplexer.js'
import { WatchQueue } from './watch-queue.js'
import { isSeveral, Watcher } from './watcher.js'

/** Options of `watch()`. */
export interface WatchOptions {
  /**
   * The first revision whose events are delivered. To continue after a read, pass its `revision + 1`. If the revision has
   * been compacted, `onCompacted` applies.
   * @default only changes from now on
   */
  readonly startRevision?: number | undefined
  /** Adds `prevKv`, the key before the change, to each event, unless that revision has been compacted. @default false */
  readonly prevKv?: boolean | undefined
  /** Delivers only puts, or only deletions; the member filters them. @default both */
  readonly only?: 'put' | 'delete' | undefined
  /** `batches()` also yields progress notifications: batches without events. @default false */
  readonly progress?: boolean | undefined
  /**
   * What to do when the revisions that the watch needs have been compacted, for example while it was disconnected:
   *
   * - `throw`: end the watch with a `CompactedError`;
   * - `resync`: list the range, deliver the difference in one batch marked `resync`, and continue. The watch cannot report
   *   the deletion of a key that it never reported.
   * @default 'throw'
   */
  readonly onCompacted?: 'throw' | 'resync' | undefined
  /**
   * How many events are buffered for the consumer before the stream is paused and the member waits. The buffer also counts
   * as full at 64 MiB. Events are never dropped.
   * @default 10_000
   */
  readonly maxBufferedEvents?: number | undefined
  /** Ends the watch; the iteration throws the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Adds the prefix of a namespace to ranges, and removes it from events. */
export interface WatchTranslation {
  range(range: EncodedRange): EncodedRange
  batch(batch: WatchBatch): WatchBatch
}

/** What the watches of one keyspace share. */
export interface WatchScope {
  readonly multiplexer: WatchMultiplexer
  readonly obstacle: Obstacle
  readonly translation: WatchTranslation | undefined
  /** Lists a range of the keyspace. */
  pages(range: KeyRange): RangePages
  /** Called for each new watch; returns the function to call when that watch ends. */
  readonly opened?: (spec: WatchSpec, watch: OpenedWatch) => (error?: unknown) => void
}

/** The state of a running watch. */
export type OpenedWatch = Pick<
  WatchQueue,
  'ready' | 'state' | 'endpoint' | 'revision' | 'lag' | 'buffered' | 'reconnects'
>

const optionNames = ['startRevision', 'prevKv', 'only', 'progress', 'onCompacted', 'maxBufferedEvents', 'signal']
const defaultMaxBufferedEvents = 10_000
const filtersOf: Readonly<Record<'put' | 'delete', readonly FilterType[]>> = { put: ['NODELETE'], delete: ['NOPUT'] }

/** Starts a watch; `Keyspace.watch()` documents it. */
export function watch(scope: WatchScope, range: KeyRange | readonly KeyRange[], options: WatchOptions): Watcher {
  checkOptions(options)
  if (!isSeveral(range)) return watchOne(scope, range, encodedRange(scope, range), options)
  if (range.length === 0) throw new InvalidArgumentError('watch() takes at least one range, got an empty array')
  const [only, ...others] = range
  if (only !== undefined && others.length === 0) return watchOne(scope, only, encodedRange(scope, only), options)
  // `map()` would leave out the holes of a sparse array.
  const ranges = disjointRanges(Array.from(range, (each) => encodedRange(scope, each)))
  const [first, second] = ranges
  if (options.onCompacted === 'resync') {
    throw new InvalidArgumentError(
      '`onCompacted: "resync"` needs a watch of one range: use a watch or an informer for each',
    )
  }
  if (first !== undefined && second === undefined) return watchOne(scope, range, first, options)
  return watchSeveral(scope, range, ranges, options)
}

function watchOne(
  scope: WatchScope,
  range: KeyRange | readonly KeyRange[],
  encoded: EncodedRange,
  options: WatchOptions,
): Watcher {
  const { multiplexer, obstacle } = scope
  const { signal, startRevision } = options
  const spec = { ...encoded, ...kindOf(options) }
  let removeListener = (): void => {}
  const queue = queueOf(scope, isSeveral(range) ? [] : [range], spec, options, (error) => {
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
    range,
    obstacle,
    leave: () => multiplexer.unsubscribe(queue),
    requestProgress: () => multiplexer.requestProgress(queue),
    lastMessageAt: () => multiplexer.lastMessageAt(queue),
    ping: () => multiplexer.ping(queue),
  })
}

/** A watch of ranges without a key in common. */
function watchSeveral(
  { multiplexer, obstacle, translation, opened }: WatchScope,
  range: readonly KeyRange[],
  ranges: readonly EncodedRange[],
  options: WatchOptions,
): Watcher {
  const { signal, startRevision, maxBufferedEvents = defaultMaxBufferedEvents, progress = false } = options
  const spec = kindOf(options)
  let removeListener = (): void => {}
  const onEnded = (error?: unknown): void => {
    removeListener()
    merged.end()
    ended?.(error)
  }
  const map = translation?.batch ?? ((batch: WatchBatch) => batch)
  const queue = new WatchQueue({ drained: () => merged.drained() }, { maxBufferedEvents, progress, map, onEnded })
  const merged = new MergedWatch({ multiplexer, queue, ranges, spec, maxBufferedEvents })
  const ended = opened?.({ ...coveringRange(ranges), ...spec }, queue)
  removeListener = onAbort(signal, (reason) => queue.fail(reason))
  if (signal?.aborted !== true) merged.start(startRevision)
  return new Watcher(queue, {
    range,
    obstacle,
    leave: () => merged.end(),
    requestProgress: () => merged.requestProgress(),
    lastMessageAt: () => Math.max(...merged.parts.map((part) => multiplexer.lastMessageAt(part))),
    ping: () => merged.parts.forEach((part) => void multiplexer.ping(part)),
  })
}

function kindOf({ prevKv = false, only }: WatchOptions): Pick<WatchSpec, 'prevKv' | 'filters'> {
  return { prevKv, filters: only === undefined ? [] : filtersOf[only] }
}

function encodedRange({ translation }: WatchScope, range: KeyRange): EncodedRange {
  const encoded = encodeRange(range)
  if (encoded.key.length === 0) throw emptyKey()
  return translation === undefined ? encoded : translation.range(encoded)
}

function queueOf(
  { multiplexer, translation, pages }: WatchScope,
  [range]: readonly KeyRange[],
  spec: WatchSpec,
  { maxBufferedEvents = defaultMaxBufferedEvents, progress = false, onCompacted, only }: WatchOptions,
  onEnded: (error?: unknown) => void,
): WatchQueue {
  const map = translation?.batch ?? ((batch: WatchBatch) => batch)
  const options = { maxBufferedEvents, progress, map, onEnded }
  if (onCompacted !== 'resync' || range === undefined) return new WatchQueue(multiplexer, options)
  if (only === 'delete') {
    throw new InvalidArgumentError('`onCompacted: "resync"` needs puts: it cannot be combined with `only: "delete"`')
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
