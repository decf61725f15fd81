import { shareable } from '../core/abort.js'
import { CompactedError } from '../core/errors.js'
import { type ClusterIdentity, type History, otherHistory } from '../transport/connection/cluster-identity.js'
import { closedError } from '../transport/connection/connection-manager.js'
import { ServerWatch, type Subscriber, specId, type WatchSpec } from './server-watch.js'
import { SharedWatchStream, type SharedWatchStreamHost, type SharedWatchStreamOwner } from './shared-watch-stream.js'

/** What the multiplexer needs from its client. */
export interface WatchMultiplexerHost extends SharedWatchStreamHost {
  /** The identity of the cluster, from the headers of all responses. */
  readonly identity: Pick<ClusterIdentity, 'clusterId' | 'revision' | 'history' | 'onHistory'>
}

/** A subscriber; `join` sets the revision at which it starts. */
export interface WatchSubscriber extends Subscriber {
  join(next: number): void
}

/** A subscriber without a watcher, because its buffer is full; it resumes on a dedicated stream when there is room. */
interface ParkedSubscriber {
  readonly spec: WatchSpec
  readonly history: History
}

interface Assignment {
  readonly watch: ServerWatch
  readonly stream: SharedWatchStream
  /** When the subscriber was assigned, or its buffer was last full. */
  readonly steadySince: number
}

/** A subscriber that has kept up on a dedicated stream for this long returns to the shared stream. */
const steadyMs = 10_000

/**
 * All watches of one client. Equal watches share a watcher on the server, and all watchers share a stream.
 *
 * A subscriber that starts at an older revision gets a separate watcher until it has caught up with the shared one. A slow
 * subscriber, whose buffer is full, is removed from its watcher and continues on a dedicated stream, which is paused while
 * the buffer is full: other subscribers do not wait for it. It returns to the shared stream when it has kept up for a while,
 * or if the members allow too few streams.
 */
export class WatchMultiplexer implements SharedWatchStreamOwner {
  readonly #host: WatchMultiplexerHost
  readonly #shared: SharedWatchStream
  /** Watchers of the shared stream by spec. The first of each is the one that the others merge into. */
  readonly #watches = new Map<string, ServerWatch[]>()
  readonly #assignments = new Map<Subscriber, Assignment | ParkedSubscriber>()
  readonly #closing = new AbortController()

  constructor(host: WatchMultiplexerHost) {
    this.#host = host
    this.#shared = new SharedWatchStream(host, this, 'watch')
    host.identity.onHistory(() => this.#suspectAll())
  }

  /** The history that revisions belong to now. */
  get history(): History {
    return this.#host.identity.history
  }

  /** Calls `follower` when another history begins; returns a function that removes it. */
  onHistory(follower: () => void): () => void {
    return this.#host.identity.onHistory(follower)
  }

  /** Aborts when the client closes. */
  get closing(): AbortSignal {
    return shareable(this.#closing.signal)
  }

  /** Delivers events to `subscriber`: from revision `start` on, or from now on. */
  subscribe(spec: WatchSpec, start: number | undefined, subscriber: WatchSubscriber): void {
    if (this.closing.aborted) {
      subscriber.onEnd(closedError())
      return
    }
    const next = start ?? this.#nextFor(this.#watchesOf(spec)[0])
    subscriber.join(next)
    this.#attach(spec, next, subscriber)
  }

  unsubscribe(subscriber: Subscriber): void {
    const assignment = this.#assignments.get(subscriber)
    this.#assignments.delete(subscriber)
    if (assignment !== undefined && 'watch' in assignment) this.#leave(subscriber, assignment)
  }

  /** The buffer of the subscriber, which was full, has room again. */
  drained(subscriber: Subscriber): void {
    const assignment = this.#assignments.get(subscriber)
    if (assignment === undefined) return
    if ('watch' in assignment) {
      if (assignment.stream === this.#shared) return
      this.#assign(subscriber, assignment)
      assignment.stream.resume()
      return
    }
    if (assignment.history !== this.history) {
      this.#end(subscriber, otherHistory(this.history))
      return
    }
    const watch = new ServerWatch(assignment.spec, subscriber.next, this.#host.identity)
    const stream = new SharedWatchStream(this.#host, this, 'slow watch')
    this.#assign(subscriber, { watch, stream })
    stream.add(watch)
  }

  /** Requests progress of the subscribers' watchers, once from each stream; the member may not answer. */
  requestProgress(...subscribers: readonly Subscriber[]): void {
    for (const stream of new Set(subscribers.map((each) => this.#streamOf(each)))) stream?.requestProgress()
  }

  /** Whether a member has the subscriber's watcher now: not while its stream is lost, nor while its buffer is full. */
  isOnMember(subscriber: Subscriber): boolean {
    const assignment = this.#assignments.get(subscriber)
    return assignment !== undefined && 'watch' in assignment && assignment.watch.isCreated
  }

  /** Whether the member of the subscriber's watcher is known not to report progress reliably. */
  lacksProgress(subscriber: Subscriber): boolean {
    return this.#streamOf(subscriber)?.lacksProgress ?? false
  }

  /** When the member of the subscriber's watcher last sent a message. */
  lastMessageAt(subscriber: Subscriber): number {
    return this.#streamOf(subscriber)?.lastMessageAt ?? Number.NEGATIVE_INFINITY
  }

  /** Makes that member send a message if it is alive. */
  ping(subscriber: Subscriber): void {
    this.#streamOf(subscriber)?.ping()
  }

  close(): void {
    this.#closing.abort()
    const assignments = [...this.#assignments]
    const streams = new Set([this.#shared])
    for (const [subscriber, assignment] of assignments) {
      if ('stream' in assignment) streams.add(assignment.stream)
      else subscriber.onEnd(closedError())
    }
    for (const stream of streams) stream.close(closedError())
    this.#assignments.clear()
    this.#watches.clear()
  }

  advanced(stream: SharedWatchStream, watch: ServerWatch): void {
    if (stream === this.#shared) this.#mergeIfCaughtUp(watch)
    if (watch.isFull) this.#relieve(stream, watch)
    else if (stream !== this.#shared) this.#rejoinIfSteady(stream, watch)
  }

  ended(stream: SharedWatchStream, watch: ServerWatch, error: unknown): void {
    if (stream === this.#shared) this.#forget(watch)
    const unaffected = [...watch.subscribers].filter(({ next }) => isUnaffected(next, error))
    for (const subscriber of unaffected) watch.subscribers.delete(subscriber)
    for (const subscriber of watch.subscribers) this.#assignments.delete(subscriber)
    watch.end(error)
    for (const subscriber of unaffected) this.#attach(watch.spec, subscriber.next, subscriber)
  }

  /** Subscribers return to the shared stream. That stream is never paused, so those with a full buffer wait without one. */
  streamLimitReached(stream: SharedWatchStream, watches: readonly ServerWatch[]): void {
    for (const watch of watches) {
      for (const subscriber of [...watch.subscribers]) {
        this.#leave(subscriber, { watch, stream })
        if (subscriber.isFull) this.#assignments.set(subscriber, { spec: watch.spec, history: watch.history })
        else if (watch.history === this.history) this.#attach(watch.spec, subscriber.next, subscriber)
        else this.#end(subscriber, otherHistory(this.history))
      }
    }
  }

  /** "From now on" starts after the revisions that this client and the shared watcher have seen. */
  #nextFor(shared: ServerWatch | undefined): number {
    if (shared === undefined || shared.next === 0) return 0
    return Math.max(shared.next, this.#host.identity.revision + 1)
  }

  /** Watchers that subscribers may join: those of the present history. */
  #watchesOf(spec: WatchSpec): ServerWatch[] {
    return this.#watches.get(specId(spec))?.filter(({ history }) => history === this.history) ?? []
  }

  #attach(spec: WatchSpec, next: number, subscriber: Subscriber): void {
    const found = this.#watchesOf(spec).find((one) => one.next === next || (one.next !== 0 && one.next < next))
    const watch = found ?? new ServerWatch(spec, next, this.#host.identity)
    this.#assign(subscriber, { watch, stream: this.#shared })
    if (found === undefined) this.#add(watch)
    else if (found.isCreated) subscriber.onCreated(next - 1, this.#shared.endpoint ?? '')
  }

  #add(watch: ServerWatch): void {
    const watches = this.#watches.get(watch.specId)
    if (watches === undefined) this.#watches.set(watch.specId, [watch])
    else watches.push(watch)
    this.#shared.add(watch)
  }

  #assign(subscriber: Subscriber, { watch, stream }: Pick<Assignment, 'watch' | 'stream'>): void {
    this.#assignments.set(subscriber, { watch, stream, steadySince: performance.now() })
    watch.subscribers.add(subscriber)
  }

  #end(subscriber: Subscriber, error: unknown): void {
    this.#assignments.delete(subscriber)
    subscriber.onEnd(error)
  }

  #leave(subscriber: Subscriber, { watch, stream }: Pick<Assignment, 'watch' | 'stream'>): void {
    watch.subscribers.delete(subscriber)
    if (watch.subscribers.size > 0) return
    stream.remove(watch)
    if (stream === this.#shared) this.#forget(watch)
  }

  #forget(watch: ServerWatch): void {
    const rest = this.#watches.get(watch.specId)?.filter((one) => one !== watch) ?? []
    if (rest.length === 0) this.#watches.delete(watch.specId)
    else this.#watches.set(watch.specId, rest)
  }

  /** Nothing is lost or repeated: subscribers drop events below their next revision. */
  #mergeIfCaughtUp(watch: ServerWatch): void {
    const shared = this.#watches.get(watch.specId)?.[0]
    if (shared === undefined || shared === watch || !shared.isCreated || watch.next < shared.next) return
    if (shared.history !== watch.history) return
    for (const subscriber of [...watch.subscribers]) {
      watch.subscribers.delete(subscriber)
      this.#assign(subscriber, { watch: shared, stream: this.#shared })
    }
    this.#shared.remove(watch)
    this.#forget(watch)
  }

  #streamOf(subscriber: Subscriber): SharedWatchStream | undefined {
    const assignment = this.#assignments.get(subscriber)
    return assignment !== undefined && 'stream' in assignment ? assignment.stream : undefined
  }

  #suspectAll(): void {
    const streams = new Set([this.#shared])
    for (const assignment of this.#assignments.values()) if ('stream' in assignment) streams.add(assignment.stream)
    for (const stream of streams) stream.suspect()
  }

  #rejoinIfSteady(stream: SharedWatchStream, watch: ServerWatch): void {
    for (const subscriber of [...watch.subscribers]) {
      const assignment = this.#assignments.get(subscriber)
      if (
        assignment === undefined ||
        !('stream' in assignment) ||
        performance.now() - assignment.steadySince < steadyMs
      )
        continue
      this.#leave(subscriber, { watch, stream })
      this.#attach(watch.spec, subscriber.next, subscriber)
    }
  }

  #relieve(stream: SharedWatchStream, watch: ServerWatch): void {
    if (stream !== this.#shared) {
      stream.pause()
      return
    }
    for (const subscriber of [...watch.subscribers]) {
      if (!subscriber.isFull) continue
      this.#leave(subscriber, { watch, stream })
      this.#assignments.set(subscriber, { spec: watch.spec, history: this.history })
    }
  }
}

/** Compaction ends only the subscribers that need compacted revisions. */
function isUnaffected(next: number, error: unknown): boolean {
  return error instanceof CompactedError && error.compactRevision !== undefined && next >= error.compactRevision
}
