import { InvalidArgumentError } from '../core/errors.js'
import type { WatchBatch, WatchEvent } from './watch-event.js'
import type { WatchQueue, WatchState } from './watch-queue.js'

/** What is known of a watch now. */
export interface WatchStatus {
  readonly state: WatchState
  /** The member that it is on. */
  readonly endpoint: string | undefined
  /** Everything up to this revision has been given to the consumer; 0 before it has begun. */
  readonly revision: number
  /** By how many revisions the consumer is behind what has arrived here. */
  readonly lag: number
  /** Events that have arrived and wait for the consumer. */
  readonly buffered: number
  /** How often the stream was lost and another one was opened. */
  readonly reconnects: number
}

/**
 * The events of a range, in the order of their revisions, each exactly once. It runs from the moment it is made: what
 * happens before the iteration begins is buffered. Iterate over it, or over `batches()`, once.
 *
 * Lost connections are gone on from where they broke, on another member. The iteration ends when you leave it, or with
 * `close()`; it throws what ends the watch for good: a `CompactedError` where the history that it needs is gone,
 * `PERMISSION_DENIED`, `CLUSTER_CHANGED`, `REVISION_REWOUND`, `CLOSED`, or the reason of the `signal`.
 */
export class Watcher implements AsyncIterable<WatchEvent>, AsyncDisposable {
  readonly #queue: WatchQueue
  readonly #leave: () => void
  readonly #requestProgress: () => void
  #isIterated = false

  /** Made by `watch()`. */
  constructor(queue: WatchQueue, leave: () => void, requestProgress: () => void) {
    this.#queue = queue
    this.#leave = leave
    this.#requestProgress = requestProgress
  }

  /** Resolves when the watch is there, with its revision: everything above it comes. Rejects with what ends the watch. */
  ready(): Promise<number> {
    return this.#queue.ready
  }

  get status(): WatchStatus {
    const { state, endpoint, revision, lag, buffered, reconnects } = this.#queue
    return { state, endpoint, revision, lag, buffered, reconnects }
  }

  /** Asks the member how far the watch is; it shows in `status`, and as a batch with the option `progress`. */
  requestProgress(): void {
    this.#requestProgress()
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchEvent, undefined> {
    this.#claim()
    let events: readonly WatchEvent[] = []
    let index = 0
    const next = (): Promise<IteratorResult<WatchEvent, undefined>> | IteratorResult<WatchEvent, undefined> => {
      for (;;) {
        const value = events[index]
        if (value !== undefined) {
          index += 1
          return { value, done: false }
        }
        const batch = this.#queue.takeNow()
        if (batch === undefined) return this.#queue.take().then((taken) => begin(taken))
        events = batch.events
        index = 0
      }
    }
    const begin = (batch: WatchBatch | undefined) => {
      if (batch === undefined) return { value: undefined, done: true } as const
      events = batch.events
      index = 0
      return next()
    }
    return { next: async () => next(), return: () => this.#return() }
  }

  /** The events of one revision at a time; with the option `progress`, empty ones tell how far the watch is. */
  batches(): AsyncIterableIterator<WatchBatch, undefined> {
    this.#claim()
    const iterator: AsyncIterableIterator<WatchBatch, undefined> = {
      next: async () => {
        const value = await this.#queue.take()
        return value === undefined ? { value, done: true } : { value, done: false }
      },
      return: () => this.#return(),
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  /** Ends the watch; the iteration ends, too. */
  async close(): Promise<void> {
    this.#leave()
    this.#queue.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #return(): Promise<{ value: undefined; done: true }> {
    await this.close()
    return { value: undefined, done: true }
  }

  #claim(): void {
    if (this.#isIterated) throw new InvalidArgumentError('a watch can be iterated over once: make another one')
    this.#isIterated = true
  }
}
