import type { EncodedRange } from '../core/key-range.js'
import type { FilterType } from '../protobuf/generated/messages.js'
import type { ClusterIdentity, History } from '../transport/connection/cluster-identity.js'
import type { WatchBatch } from './watch-event.js'

/** What a server-side watcher watches. Equal specs share a watcher. */
export interface WatchSpec extends EncodedRange {
  readonly prevKv: boolean
  readonly filters: readonly FilterType[]
}

/** What is known of the cluster that a watch resumes in. */
export type WatchedCluster = Pick<ClusterIdentity, 'clusterId' | 'revision' | 'history'>

/** The same text for equal specs. */
export function specId({ key, rangeEnd, prevKv, filters }: WatchSpec): string {
  return `${key.toString('base64')} ${rangeEnd.toString('base64')} ${prevKv} ${filters.join()}`
}

/** Receives what a server-side watcher delivers, from revision `next` on. */
export interface Subscriber {
  readonly next: number
  /** Whether its buffer is full. */
  readonly isFull: boolean
  /** The watcher was created on this member, first or again; all events above `revision` follow. */
  onCreated(revision: number, endpoint: string): void
  onBatch(batch: WatchBatch): void
  /** No further events exist up to and including this revision. */
  onProgress(revision: number): void
  /** The stream was lost; the watcher resumes on another one without a gap. */
  onLost(error: unknown): void
  /** The watch has ended. Nothing is called afterwards. */
  onEnd(error: unknown): void
}

/**
 * One watcher on the server and the subscribers that share it. `next` is the revision at which it resumes on another
 * stream: one after the last event or the last reliable progress notification. It never decreases. It is 0, "from now on",
 * until the watcher is created for the first time.
 *
 * The header of a response with events does not advance `next`: its revision may be higher than that of events which are
 * still to be sent.
 */
export class ServerWatch {
  readonly spec: WatchSpec
  /** Equal for equal specs. */
  readonly specId: string
  /** The history of the cluster that `next` belongs to. */
  readonly history: History
  readonly subscribers = new Set<Subscriber>()
  #next: number
  #seen: number
  #clusterId: string | undefined
  #isCreated = false
  /** Whether its responses hold very many small events, and are better not fragmented. */
  isDense = false
  /** How often in a row its creation was refused for the stream's token. */
  refusals = 0

  /** @param cluster The cluster that `next` belongs to. */
  constructor(spec: WatchSpec, next: number, { clusterId, revision, history }: WatchedCluster) {
    this.history = history
    this.spec = spec
    this.specId = specId(spec)
    this.#next = next
    this.#seen = next === 0 ? revision : Math.min(revision, next - 1)
    // A watch from now on may start in another cluster than the one known so far.
    this.#clusterId = next === 0 ? undefined : clusterId
  }

  get next(): number {
    return this.#next
  }

  /** The highest revision that the cluster has shown: a member with a lower one lags behind, or was restored from a backup. */
  get seen(): number {
    return this.#seen
  }

  /** Whether it exists on a member now. */
  get isCreated(): boolean {
    return this.#isCreated
  }

  get isFull(): boolean {
    for (const subscriber of this.subscribers) if (subscriber.isFull) return true
    return false
  }

  /** The cluster that it belongs to; known at the latest once it was created. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  created(revision: number, clusterId: string | undefined, endpoint: string): void {
    this.#isCreated = true
    this.#clusterId ??= clusterId
    this.refusals = 0
    this.#seen = Math.max(this.#seen, revision)
    // On a member that lags behind, "from now on" starts after the revisions that this client has seen on others.
    if (this.#next === 0) this.#next = this.#seen + 1
    for (const subscriber of this.subscribers) subscriber.onCreated(this.#next - 1, endpoint)
  }

  /** Delivers complete revisions in order. A resumed watch may receive revisions again; these are dropped. */
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
