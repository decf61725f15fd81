import { InvalidArgumentError } from '../core/errors.js'
import { type KeyRange, printedRange } from '../core/key-range.js'
import { printAs } from '../core/printing.js'
import { notInTime, type Obstacle, waitWithin } from '../core/wait.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { EventIterator } from './event-iterator.js'
import type { WatchBatch, WatchEvent } from './watch-event.js'
import type { WatchQueue, WatchState } from './watch-queue.js'

/** The state of a watch at one moment. */
export interface WatchStatus {
  readonly state: WatchState
  /** The member that serves the watch; `undefined` while it is disconnected. */
  readonly endpoint: string | undefined
  /**
   * The consumer has received all events up to and including this revision: a watch with `startRevision: revision + 1`
   * continues without a gap. It also advances over revisions without events. 0 until the watch is established.
   */
  readonly revision: number
  /** How many revisions the consumer is behind the events that have arrived. */
  readonly lag: number
  /** Events that have arrived and that the consumer has not taken yet. */
  readonly buffered: number
  /** How often the watch has resumed on another stream. */
  readonly reconnects: number
}

/** What a watcher needs from the multiplexer. */
export interface WatcherHost {
  readonly range: KeyRange | readonly KeyRange[]
  readonly obstacle: Obstacle
  /** Ends the subscription. */
  leave(): void
  requestProgress(): void
  lastMessageAt(): number
  ping(): void
}

/**
 * The events of a range, ordered by revision, each exactly once. Returned by `watch()`.
 *
 * The watch starts immediately: events that arrive before the iteration starts are buffered. Iterate once, over the watcher
 * (events) or over `batches()` (all events of one revision together). Leaving the loop closes the watch.
 *
 * After a lost connection the watch resumes on another member, at the revision after the last one received; no event is
 * missed or repeated. See the guarantees of [etcd's watch API](https://etcd.io/docs/latest/learning/api_guarantees/).
 *
 * The iteration throws the error that ended the watch:
 *
 * - `COMPACTED` (`CompactedError`): the revisions that the watch needs have been compacted;
 * - `PERMISSION_DENIED`, `AUTH_FAILED`: this user may not read the range, or cannot authenticate;
 * - `CLUSTER_CHANGED`, `REVISION_REWOUND`: another cluster has the address, or the cluster was restored from a backup;
 * - `WATCH_CANCELED`: the member canceled the watch without a reason;
 * - `CLOSED`: the client was closed;
 * - the reason of the `signal`.
 *
 * @example
 * for await (const { type, keyText, valueText } of etcd.watch({ prefix: 'config/' })) console.log(type, keyText, valueText)
 */
export class Watcher implements AsyncIterable<WatchEvent>, AsyncDisposable {
  static {
    printAs(this, (watcher) => ({ ...printedRanges(watcher.#host.range), ...watcher.status }))
  }
  readonly #queue: WatchQueue
  readonly #host: WatcherHost
  #isIterated = false

  /** @internal Made by `watch()`. */
  constructor(queue: WatchQueue, host: WatcherHost) {
    this.#queue = queue
    this.#host = host
  }

  /**
   * Waits until a member has confirmed the watch.
   *
   * @param options.timeoutMs Time limit of the wait. Default: none. The watch continues when it is exceeded.
   * @param options.signal Ends the wait, not the watch.
   * @returns The revision at which the watch starts: all events above it are delivered.
   * @throws `DEADLINE_EXCEEDED` after `timeoutMs`, or the error that ended the watch.
   */
  async ready(options: CallOptions = {}): Promise<number> {
    checkCall('ready()', options)
    return waitWithin(this.#queue.ready, options, () =>
      notInTime('no member has confirmed the watch in time', this.#host.obstacle() ?? this.#queue.lastError),
    )
  }

  /** The state of the watch at this moment. */
  get status(): WatchStatus {
    const { state, endpoint, revision, lag, buffered, reconnects } = this.#queue
    return { state, endpoint, revision, lag, buffered, reconnects }
  }

  /**
   * Requests a progress notification. When the member answers, `status.revision` advances and, with the option `progress`,
   * `batches()` yields an empty batch. Members before 3.4.31 and 3.5.13, and etcd's gRPC proxy, do not answer.
   */
  requestProgress(): void {
    this.#host.requestProgress()
  }

  /** @internal When its member last sent a message, on the clock of `performance.now()`. */
  get lastMessageAt(): number {
    return this.#host.lastMessageAt()
  }

  /** @internal Makes its member send a message if it is alive. */
  ping(): void {
    this.#host.ping()
  }

  /** The events one at a time. */
  [Symbol.asyncIterator](): AsyncIterator<WatchEvent, undefined> {
    this.#claim()
    return new EventIterator(this.#queue, () => this.close())
  }

  /** The events of one revision at a time. With the option `progress`, batches without events report progress. */
  batches(): AsyncIterableIterator<WatchBatch, undefined> {
    this.#claim()
    const iterator: AsyncIterableIterator<WatchBatch, undefined> = {
      next: async () => {
        const value = await this.#queue.take()
        if (value === undefined) return { value, done: true }
        this.#queue.delivered(value)
        return { value, done: false }
      },
      return: async () => {
        await this.close()
        return { value: undefined, done: true }
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  /** Ends the watch and its iteration; buffered events are discarded. */
  async close(): Promise<void> {
    this.#host.leave()
    this.#queue.close()
  }

  /** Same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #claim(): void {
    if (this.#isIterated) throw new InvalidArgumentError('a watch can be iterated only once: start another watch')
    this.#isIterated = true
  }
}

function printedRanges(range: KeyRange | readonly KeyRange[]): object {
  return isSeveral(range) ? { ranges: range.map(printedRange) } : printedRange(range)
}

/** Whether a watch was given an array of ranges. */
export function isSeveral(range: KeyRange | readonly KeyRange[]): range is readonly KeyRange[] {
  return Array.isArray(range)
}
