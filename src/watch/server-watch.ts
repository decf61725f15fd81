import type { EncodedRange } from '../core/key-range.js'
import type { FilterType } from '../protobuf/generated/messages.js'
import type { ClusterIdentity, History } from '../transport/connection/cluster-identity.js'
import type { WatchBatch } from './watch-event.js'

/** What a server-side watcher watches. Equal ones are shared. */
export interface WatchSpec extends EncodedRange {
  readonly prevKv: boolean
  readonly filters: readonly FilterType[]
}

/** What is known of the cluster that a watch is to go on in. */
export type WatchedCluster = Pick<ClusterIdentity, 'clusterId' | 'revision' | 'history'>

/** The same text for equal specs. */
export function specId({ key, rangeEnd, prevKv, filters }: WatchSpec): string {
  return `${key.toString('base64')} ${rangeEnd.toString('base64')} ${prevKv} ${filters.join()}`
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
  /** The same for all watchers of equal specs. */
  readonly specId: string
  /** The history of the cluster that `next` belongs to. */
  readonly history: History
  readonly subscribers = new Set<Subscriber>()
  #next: number
  #seen: number
  #clusterId: string | undefined
  #isCreated = false
  /** Whether its answers are better not split: they hold very many small events. */
  isDense = false
  /** Refusals of the stream's token in a row. */
  refusals = 0

  /** `cluster`: the one that `next` belongs to. */
  constructor(spec: WatchSpec, next: number, { clusterId, revision, history }: WatchedCluster) {
    this.history = history
    this.spec = spec
    this.specId = specId(spec)
    this.#next = next
    this.#seen = next === 0 ? revision : Math.min(revision, next - 1)
    // From now on: that may be another cluster than the one that was there until now.
    this.#clusterId = next === 0 ? undefined : clusterId
  }

  get next(): number {
    return this.#next
  }

  /**
   * The highest revision that the cluster must have had, by what it has shown: a member that shows less lags behind, or
   * was restored from a backup.
   */
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

  /** The cluster that it belongs to, as far as that is known: at the latest since it was created for the first time. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  created(revision: number, clusterId: string | undefined, endpoint: string): void {
    this.#isCreated = true
    this.#clusterId ??= clusterId
    this.refusals = 0
    this.#seen = Math.max(this.#seen, revision)
    // On a member that lags behind, "from now on" begins after what this client has seen elsewhere.
    if (this.#next === 0) this.#next = this.#seen + 1
    for (const subscriber of this.subscribers) subscriber.onCreated(this.#next - 1, endpoint)
  }

  /** Takes in whole revisions, in order. Repeats, which a resumed watch may bring, go no further. */
  deliver(batches: readonly WatchBatch[]): void {
    for (const batch of batches) {
      if (batch.revision < this.#next) continue
      this.#moveTo(batch.revision)
      for (const subscriber of this.subscribers) {
        if (batch.revision >= subscriber.next) subscriber.onBatch(batch)
      }
    }
  }

  progress(revision: number): void {
    if (revision < this.#next) return
    this.#moveTo(revision)
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

  #moveTo(revision: number): void {
    this.#next = revision + 1
    this.#seen = Math.max(this.#seen, revision)
  }
}
