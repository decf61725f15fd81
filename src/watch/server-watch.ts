import type { EncodedRange } from '../core/key-range.js'
import type { FilterType } from '../gen/messages.js'
import type { WatchBatch } from './watch-event.js'

/** What a server-side watcher watches. Equal ones are shared. */
export interface WatchSpec extends EncodedRange {
  readonly prevKv: boolean
  readonly filters: readonly FilterType[]
}

/** Who gets what a server-side watcher sees. Revisions below `next` are no longer of interest to it. */
export interface Subscriber {
  readonly next: number
  /** Whether it should get no more for now. */
  readonly isFull: boolean
  /** The watcher is there, again or for the first time, on this member; every event above `revision` follows. */
  onCreated(revision: number, endpoint: string): void
  onBatch(batch: WatchBatch): void
  /** There are no further events up to and with this revision. */
  onProgress(revision: number): void
  /** The stream was lost; the watcher goes on elsewhere with nothing missed. */
  onLost(error: unknown): void
  /** The last call. */
  onEnd(error: unknown): void
}

/**
 * One watcher on the server, and the subscribers here that share it. `next` is the revision that it is to go on with,
 * wherever it is made again: one after the last event, or the last trusted word of progress, and never less than before;
 * 0 until it was created for the first time, for "from now on".
 *
 * The header of an answer with events never moves it: that one may be ahead of events which are still to come.
 */
export class ServerWatch {
  readonly spec: WatchSpec
  readonly subscribers = new Set<Subscriber>()
  #next: number
  #seen = 0
  #clusterId: string | undefined
  #isCreated = false
  /** Refusals of the stream's token in a row. */
  refusals = 0

  constructor(spec: WatchSpec, next: number) {
    this.spec = spec
    this.#next = next
  }

  get next(): number {
    return this.#next
  }

  /** The highest revision that the cluster has shown it: one that shows less was restored from a backup, or lags. */
  get seen(): number {
    return this.#seen
  }

  /** Whether it is on a server now. */
  get isCreated(): boolean {
    return this.#isCreated
  }

  get isFull(): boolean {
    for (const subscriber of this.subscribers) if (subscriber.isFull) return true
    return false
  }

  /** The cluster that it belongs to, since it was created for the first time. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  created(revision: number, clusterId: string | undefined, endpoint: string): void {
    this.#isCreated = true
    this.#clusterId ??= clusterId
    this.refusals = 0
    this.#seen = Math.max(this.#seen, revision)
    if (this.#next === 0) this.#next = revision + 1
    for (const subscriber of this.subscribers) subscriber.onCreated(this.#next - 1, endpoint)
  }

  /** Takes in whole revisions, in order. Repeats, which a resumed watch may bring, go no further. */
  deliver(batches: readonly WatchBatch[]): void {
    for (const batch of batches) {
      if (batch.revision < this.#next) continue
      this.#next = batch.revision + 1
      this.#seen = Math.max(this.#seen, batch.revision)
      for (const subscriber of this.subscribers) {
        if (batch.revision >= subscriber.next) subscriber.onBatch(batch)
      }
    }
  }

  progress(revision: number): void {
    if (revision < this.#next) return
    this.#next = revision + 1
    this.#seen = Math.max(this.#seen, revision)
    for (const subscriber of this.subscribers) {
      if (revision >= subscriber.next) subscriber.onProgress(revision)
    }
  }

  lost(error: unknown): void {
    this.#isCreated = false
    for (const subscriber of this.subscribers) subscriber.onLost(error)
  }

  end(error: unknown): void {
    this.#isCreated = false
    for (const subscriber of this.subscribers) subscriber.onEnd(error)
    this.subscribers.clear()
  }
}
