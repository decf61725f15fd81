import { shareable } from '../core/abort.js'
import { CompactedError } from '../core/errors.js'
import { type ClusterIdentity, type History, otherHistory } from '../transport/connection/cluster-identity.js'
import { closedError } from '../transport/connection/connection-manager.js'
import { ServerWatch, type Subscriber, specId, type WatchSpec } from './server-watch.js'
import { type LaneHost, type LaneOwner, WatchLane } from './watch-lane.js'

/** What a hub needs from its client. */
export interface WatchHubHost extends LaneHost {
  /** What all answers have shown to this client. */
  readonly identity: Pick<ClusterIdentity, 'clusterId' | 'revision' | 'history' | 'onHistory'>
}

/** Who subscribes; it learns by `join` from which revision on. */
export interface HubSubscriber extends Subscriber {
  join(next: number): void
}

/** A subscriber that a full buffer took off its watcher; it goes on, on its own, when there is room. */
interface Parked {
  readonly spec: WatchSpec
  readonly history: History
}

interface Place {
  readonly watch: ServerWatch
  readonly lane: WatchLane
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
export class WatchHub implements LaneOwner {
  readonly #host: WatchHubHost
  readonly #common: WatchLane
  /** Watchers of the common lane by what they watch; the first of each is the one that others join in the end. */
  readonly #watches = new Map<string, ServerWatch[]>()
  readonly #places = new Map<Subscriber, Place | Parked>()
  readonly #closing = new AbortController()

  constructor(host: WatchHubHost) {
    this.#host = host
    this.#common = new WatchLane(host, this, 'watch')
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

  /** Aborts when the hub, and its client with it, closes. */
  get closing(): AbortSignal {
    return shareable(this.#closing.signal)
  }

  /** Tells `subscriber` everything from revision `start` on, or everything that happens from now on. */
  subscribe(spec: WatchSpec, start: number | undefined, subscriber: HubSubscriber): void {
    if (this.closing.aborted) {
      subscriber.onEnd(closedError())
      return
    }
    const next = start ?? this.#nextFor(this.#watchesOf(spec)[0])
    subscriber.join(next)
    this.#attach(spec, next, subscriber)
  }

  unsubscribe(subscriber: Subscriber): void {
    const place = this.#places.get(subscriber)
    this.#places.delete(subscriber)
    if (place !== undefined && 'watch' in place) this.#leave(subscriber, place)
  }

  /** There is room again for the subscriber, which was full. */
  drained(subscriber: Subscriber): void {
    const place = this.#places.get(subscriber)
    if (place === undefined) return
    if ('watch' in place) {
      if (place.lane === this.#common) return
      this.#place(subscriber, place)
      place.lane.resume()
      return
    }
    if (place.history !== this.history) {
      this.#end(subscriber, otherHistory(this.history))
      return
    }
    const watch = new ServerWatch(place.spec, subscriber.next, this.#host.identity)
    const lane = new WatchLane(this.#host, this, 'slow watch')
    this.#place(subscriber, { watch, lane })
    lane.add(watch)
  }

  /** Asks how far the subscriber's watcher is; the answer comes as progress, if the member can give it. */
  requestProgress(subscriber: Subscriber): void {
    this.#laneOf(subscriber)?.requestProgress()
  }

  /** When the member that the subscriber's watcher is on sent something last. */
  heardAt(subscriber: Subscriber): number {
    return this.#laneOf(subscriber)?.heardAt ?? Number.NEGATIVE_INFINITY
  }

  /** Makes that member send something, if it is alive. */
  ping(subscriber: Subscriber): void {
    this.#laneOf(subscriber)?.ping()
  }

  close(): void {
    this.#closing.abort()
    const places = [...this.#places]
    const lanes = new Set([this.#common])
    for (const [subscriber, place] of places) {
      if ('lane' in place) lanes.add(place.lane)
      else subscriber.onEnd(closedError())
    }
    for (const lane of lanes) lane.close(closedError())
    this.#places.clear()
    this.#watches.clear()
  }

  advanced(lane: WatchLane, watch: ServerWatch): void {
    if (lane === this.#common) this.#mergeIfCaughtUp(watch)
    if (watch.isFull) this.#relieve(lane, watch)
    else if (lane !== this.#common) this.#rejoinIfSteady(lane, watch)
  }

  ended(lane: WatchLane, watch: ServerWatch, error: unknown): void {
    if (lane === this.#common) this.#forget(watch)
    const unaffected = [...watch.subscribers].filter(({ next }) => isUnaffected(next, error))
    for (const subscriber of unaffected) watch.subscribers.delete(subscriber)
    for (const subscriber of watch.subscribers) this.#places.delete(subscriber)
    watch.end(error)
    for (const subscriber of unaffected) this.#attach(watch.spec, subscriber.next, subscriber)
  }

  /**
   * They share the common stream. Those that are full wait without one; so do others as soon as they are, since that stream
   * is never held back.
   */
  hasNoPlace(lane: WatchLane, watches: readonly ServerWatch[]): void {
    for (const watch of watches) {
      for (const subscriber of [...watch.subscribers]) {
        this.#leave(subscriber, { watch, lane })
        if (subscriber.isFull) this.#places.set(subscriber, { spec: watch.spec, history: watch.history })
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
    this.#place(subscriber, { watch, lane: this.#common })
    if (found === undefined) this.#add(watch)
    else if (found.isCreated) subscriber.onCreated(next - 1, this.#common.endpoint ?? '')
  }

  #add(watch: ServerWatch): void {
    const watches = this.#watches.get(watch.specId)
    if (watches === undefined) this.#watches.set(watch.specId, [watch])
    else watches.push(watch)
    this.#common.add(watch)
  }

  #place(subscriber: Subscriber, { watch, lane }: Pick<Place, 'watch' | 'lane'>): void {
    this.#places.set(subscriber, { watch, lane, steadySince: performance.now() })
    watch.subscribers.add(subscriber)
  }

  #end(subscriber: Subscriber, error: unknown): void {
    this.#places.delete(subscriber)
    subscriber.onEnd(error)
  }

  #leave(subscriber: Subscriber, { watch, lane }: Pick<Place, 'watch' | 'lane'>): void {
    watch.subscribers.delete(subscriber)
    if (watch.subscribers.size > 0) return
    lane.remove(watch)
    if (lane === this.#common) this.#forget(watch)
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
      this.#place(subscriber, { watch: shared, lane: this.#common })
    }
    this.#common.remove(watch)
    this.#forget(watch)
  }

  #laneOf(subscriber: Subscriber): WatchLane | undefined {
    const place = this.#places.get(subscriber)
    return place !== undefined && 'lane' in place ? place.lane : undefined
  }

  #suspectAll(): void {
    const lanes = new Set([this.#common])
    for (const place of this.#places.values()) if ('lane' in place) lanes.add(place.lane)
    for (const lane of lanes) lane.suspect()
  }

  #rejoinIfSteady(lane: WatchLane, watch: ServerWatch): void {
    for (const subscriber of [...watch.subscribers]) {
      const place = this.#places.get(subscriber)
      if (place === undefined || !('lane' in place) || performance.now() - place.steadySince < steadyMs) continue
      this.#leave(subscriber, { watch, lane })
      this.#attach(watch.spec, subscriber.next, subscriber)
    }
  }

  #relieve(lane: WatchLane, watch: ServerWatch): void {
    if (lane !== this.#common) {
      lane.pause()
      return
    }
    for (const subscriber of [...watch.subscribers]) {
      if (!subscriber.isFull) continue
      this.#leave(subscriber, { watch, lane })
      this.#places.set(subscriber, { spec: watch.spec, history: this.history })
    }
  }
}

/** The history that one subscriber still needs may be gone, while another, further on, does not need it. */
function isUnaffected(next: number, error: unknown): boolean {
  return error instanceof CompactedError && error.compactRevision !== undefined && next >= error.compactRevision
}
