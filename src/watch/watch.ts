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
    range,
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
