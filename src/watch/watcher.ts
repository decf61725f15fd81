import { InvalidArgumentError } from '../core/errors.js'
import { notInTime, type Obstacle, waitWithin } from '../core/wait.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { EventIterator } from './event-iterator.js'
import type { WatchBatch, WatchEvent } from './watch-event.js'
import type { WatchQueue, WatchState } from './watch-queue.js'

/** What is known of a watch now. */
export interface WatchStatus {
  readonly state: WatchState
  /** The member that it is on. */
  readonly endpoint: string | undefined
  /**
   * The consumer has been given every event up to this revision, the last one of it included: a watch that begins with the
   * next one misses nothing. It moves on over revisions without events, and is 0 before the watch has begun.
   */
  readonly revision: number
  /** By how many revisions the consumer is behind what has arrived here. */
  readonly lag: number
  /** Events that have arrived and wait for the consumer. */
  readonly buffered: number
  /** How often the stream was lost and another one was opened. */
  readonly reconnects: number
}

/** Where a watcher gets its events from. */
export interface WatcherHost {
  readonly obstacle: Obstacle
  /** No more events are wanted. */
  leave(): void
  requestProgress(): void
  lastMessageAt(): number
  ping(): void
}

/**
 * The events of a range, in the order of their revisions, each exactly once. It runs from the moment it is made: what
 * happens before the iteration begins is buffered. Iterate over it, or over `batches()`, once.
 *
 * Lost connections are gone on from where they broke, on another member. The iteration ends when you leave it, or with
 * `close()`; it throws what ends the watch for good: a `CompactedError` where the history that it needs is gone,
 * `PERMISSION_DENIED`, `CLUSTER_CHANGED`, `REVISION_REWOUND`, `WATCH_CANCELED` where a member gives no reason, `CLOSED`, or
 * the reason of the `signal`.
 */
export class Watcher implements AsyncIterable<WatchEvent>, AsyncDisposable {
  readonly #queue: WatchQueue
  readonly #host: WatcherHost
  #isIterated = false

  /** @internal Made by `watch()`. */
  constructor(queue: WatchQueue, host: WatcherHost) {
    this.#queue = queue
    this.#host = host
  }

  /**
   * Resolves when the watch is there, with its revision: everything above it comes. Rejects with what ends the watch, and
   * with `DEADLINE_EXCEEDED` after `timeoutMs`, for which there is no bound by default; the watch itself goes on then.
   */
  async ready(options: CallOptions = {}): Promise<number> {
    checkCall('ready()', options)
    return waitWithin(this.#queue.ready, options, () =>
      notInTime('no member has confirmed the watch in time', this.#host.obstacle() ?? this.#queue.lastError),
    )
  }

  get status(): WatchStatus {
    const { state, endpoint, revision, lag, buffered, reconnects } = this.#queue
    return { state, endpoint, revision, lag, buffered, reconnects }
  }

  /** Asks the member how far the watch is; it shows in `status`, and as a batch with the option `progress`. */
  requestProgress(): void {
    this.#host.requestProgress()
  }

  /** @internal When its member sent something last, on the clock of `performance.now()`. */
  get lastMessageAt(): number {
    return this.#host.lastMessageAt()
  }

  /** @internal Makes its member send something, if it is alive. */
  ping(): void {
    this.#host.ping()
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchEvent, undefined> {
    this.#claim()
    return new EventIterator(this.#queue, () => this.close())
  }

  /** The events of one revision at a time; with the option `progress`, empty ones tell how far the watch is. */
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

  /** Ends the watch; the iteration ends, too. */
  async close(): Promise<void> {
    this.#host.leave()
    this.#queue.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #claim(): void {
    if (this.#isIterated) throw new InvalidArgumentError('a watch can be iterated over once: make another one')
    this.#isIterated = true
  }
}
