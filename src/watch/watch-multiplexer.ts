import { shareable } from '../core/abort.js'
import { CompactedError } from '../core/errors.js'
import { type ClusterIdentity, type History, otherHistory } from '../transport/connection/cluster-identity.js'
import { closedError } from '../transport/connection/connection-manager.js'
import { ServerWatch, type Subscriber, specId, type WatchSpec } from './server-watch.js'
import { SharedWatchStream, type SharedWatchStreamHost, type SharedWatchStreamOwner } from './shared-watch-stream.js'

/** What a multiplexer needs from its client. */
export interface WatchMultiplexerHost extends SharedWatchStreamHost {
  /** What all answers have shown to this client. */
  readonly identity: Pick<ClusterIdentity, 'clusterId' | 'revision' | 'history' | 'onHistory'>
}

/** Who subscribes; it learns by `join` from which revision on. */
export interface WatchSubscriber extends Subscriber {
  join(next: number): void
}

/** A subscriber that a full buffer took off its watcher; it goes on, on its own, when there is room. */
interface ParkedSubscriber {
  readonly spec: WatchSpec
  readonly history: History
}

interface Assignment {
  readonly watch: ServerWatch
  readonly stream: SharedWatchStream
  /** When the subscriber was last full, or came here. */
  readonly steadySince: number
}

/** Who has kept up for so long on a stream of his own shares one with the others again. */
const steadyMs = 10_000

/**
 * All watches of one client. Equal ones share one watcher on the server, and all watchers share one stream.
 *
 * One who joins late gets a watcher of his own, until he has caught up with the shared one. One who does not keep up is
 * taken off, and gets a stream of his own when there is room again, on which the member is held back: nobody else waits
 * for him. He shares again when he has kept up for a while, or where the members allow too few streams for one of his own.
 */
export class WatchMultiplexer implements SharedWatchStreamOwner {
  readonly #host: WatchMultiplexerHost
  readonly #shared: SharedWatchStream
  /** Watchers of the common stream by what they watch; the first of each is the one that others join in the end. */
  readonly #watches = new Map<string, ServerWatch[]>()
  readonly #assignments = new Map<Subscriber, Assignment | ParkedSubscriber>()
  readonly #closing = new AbortController()

  constructor(host: WatchMultiplexerHost) {
    this.#host = host
    this.#shared = new SharedWatchStream(host, this, 'watch')
    host.identity.onHistory(() => this.#suspectAll())
  }

  /** The history that all revisions belong to now. */
  get history(): History {
    return this.#host.identity.history
  }

  /** Calls `follower` whenever another history has begun; returns a function that ends that. */
  onHistory(follower: () => void): () => void {
    return this.#host.identity.onHistory(follower)
  }

  /** Aborts when the multiplexer, and its client with it, closes. */
  get closing(): AbortSignal {
    return shareable(this.#closing.signal)
  }

  /** Tells `subscriber` everything from revision `start` on, or everything that happens from now on. */
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

  /** There is room again for the subscriber, which was full. */
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

  /** Asks how far the subscriber's watcher is; the answer comes as progress, if the member can give it. */
  requestProgress(subscriber: Subscriber): void {
    this.#streamOf(subscriber)?.requestProgress()
  }

  /** When the member that the subscriber's watcher is on sent something last. */
  lastMessageAt(subscriber: Subscriber): number {
    return this.#streamOf(subscriber)?.lastMessageAt ?? Number.NEGATIVE_INFINITY
  }

  /** Makes that member send something, if it is alive. */
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

  /**
   * They share the common stream. Those that are full wait without one; so do others as soon as they are, since that stream
   * is never held back.
   */
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

  /** From now on: after all that this client, and the shared watcher, have seen. */
  #nextFor(shared: ServerWatch | undefined): number {
    if (shared === undefined || shared.next === 0) return 0
    return Math.max(shared.next, this.#host.identity.revision + 1)
  }

  /** Those that others may join: the revisions of an earlier history are no measure for the present one. */
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

  /** Nothing is lost or doubled: subscribers drop what is below their own next revision. */
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

/** The history that one subscriber still needs may be gone, while another, further on, does not need it. */
function isUnaffected(next: number, error: unknown): boolean {
  return error instanceof CompactedError && error.compactRevision !== undefined && next >= error.compactRevision
}
