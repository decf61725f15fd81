import { CompactedError, EtcdError } from '../core/errors.js'
import type { Event, WatchRequest, WatchResponse } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { BidiStream } from '../streams/bidi-stream.js'
import { toEtcdError } from '../transport/grpc-status.js'
import { hasReliableProgress } from './progress-support.js'
import { type WatchResponsePart, watchMethod } from './response-parts.js'
import { ServerWatch } from './server-watch.js'
import { batchesOf, completeCount } from './watch-event.js'

/** The events of a watch stream, for the owner of its watchers. */
export interface WatchStreamHost {
  /** The stream is open; the create requests of its watchers follow. */
  opened(stream: WatchStream): void
  /** The member has created the watcher. Returns the error that ends it, if there is one. */
  created(stream: WatchStream, watch: ServerWatch, response: WatchResponse): EtcdError | undefined
  /** The watcher has received events or progress. */
  advanced(stream: WatchStream, watch: ServerWatch): void
  /** The member refused or canceled one watcher. */
  ended(stream: WatchStream, watch: ServerWatch, error: EtcdError): void
  /** The stream has ended, or could not be opened. */
  lost(stream: WatchStream, error: unknown): void
  /** The member will end the stream within seconds. */
  draining(stream: WatchStream): void
}

/** `slow watch`: the dedicated stream of a watch whose consumer is slow. It is opened only if the member has a free slot. */
export type WatchPurpose = 'watch' | 'slow watch'

/** The watch ID of a progress notification for all watchers of a stream. */
const everyWatcher = -1

/**
 * A fragment with this many events holds small ones. A member fragments in quadratic time, which costs seconds of CPU per
 * response for such events. Unfragmented, such responses have tens of MiB at most; they are requested as long as responses
 * hold that many events.
 */
const denseEvents = 4000

/**
 * The whole history of a database up to this size fits into one response. Fragments are not requested from it, so that
 * catching up costs the member no time for splitting.
 */
const smallDataBytes = 64 * 2 ** 20

/** A watcher on this stream. */
interface Watching {
  /** The requested watch ID, and after the creation the assigned one. */
  id: number
  readonly watch: ServerWatch
  /** How often progress had been requested when the create request was sent. */
  askedBefore: number
  /** The member's revision when it created the watcher; `undefined` before its response. */
  createdAt: number | undefined
}

/**
 * One gRPC stream with any number of server-side watchers. The client chooses their watch IDs, so that create requests can
 * be pipelined: a member answers them strictly in order. etcd's gRPC proxy assigns other IDs and answers in any order.
 * Therefore the first create request is sent alone, and if its response has another ID, the others follow one at a time.
 */
export class WatchStream extends BidiStream<WatchRequest, WatchResponsePart> {
  readonly #host: WatchStreamHost
  readonly #byWatch = new Map<ServerWatch, Watching>()
  /** Created watchers. */
  readonly #byId = new Map<number, Watching>()
  /** Watchers whose create request was not sent yet. */
  readonly #waiting = new Set<Watching>()
  /** Watchers whose create request was not answered yet, in the order of the requests. */
  readonly #creating: Watching[] = []
  /** Whether the member assigns the requested IDs; `undefined` before the first creation. */
  #takesIds: boolean | undefined
  /** Events of fragmented responses whose revision is not complete yet. */
  readonly #fragments = new Map<number, Event[]>()
  #lastId = 0
  /** How often progress was requested and reported. A member answers a request immediately or never. */
  #asked = 0
  #answered = 0
  #isPaused = false
  #lastMessageAt = Number.NEGATIVE_INFINITY

  constructor(host: WatchStreamHost, purpose: WatchPurpose = 'watch') {
    super(watchMethod, purpose)
    this.#host = host
  }

  /** When the member last sent a message, on the clock of `performance.now()`. */
  get lastMessageAt(): number {
    return this.#lastMessageAt
  }

  /** Whether progress notifications of this member may move a watcher on. */
  get #trusted(): boolean {
    return hasReliableProgress(this.call?.serverVersion)
  }

  /** Whether the member is known not to report progress reliably. */
  get lacksProgress(): boolean {
    return this.call?.serverVersion !== undefined && !this.#trusted
  }

  /** Creates a watcher here, at its `next` revision. */
  add(watch: ServerWatch): void {
    this.#lastId += 1
    const watching: Watching = { id: this.#lastId, watch, askedBefore: 0, createdAt: undefined }
    this.#byWatch.set(watch, watching)
    this.#waiting.add(watching)
    this.#createWaiting()
  }

  /** Cancels a watcher; what the member still sends for it is dropped. */
  remove(watch: ServerWatch): void {
    const watching = this.#forget(watch)
    // A watcher that is being created is canceled when its ID is known.
    if (watching?.createdAt !== undefined) this.#cancel(watching.id)
  }

  /** Requests a progress notification. The member answers if all watchers of the stream have caught up, otherwise never. */
  requestProgress(): void {
    if (!this.#trusted || this.#byWatch.size === 0) return
    this.#asked += 1
    this.call?.send({ progressRequest: {} })
  }

  /**
   * Makes the member send a message if it is alive: it answers every create request, but a progress request only if all
   * watchers have caught up. The watcher is canceled as soon as it is created.
   */
  ping(): void {
    const [watch] = this.#byWatch.keys()
    if (watch === undefined || this.#creating.length > 0) return
    const { spec, history } = watch
    const pinging = new ServerWatch(spec, 0, { clusterId: undefined, revision: 0, history })
    this.add(pinging)
    this.remove(pinging)
  }

  pause(): void {
    this.#isPaused = true
    this.call?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.call?.resume()
  }

  onMessage(response: WatchResponsePart): void {
    this.#lastMessageAt = performance.now()
    const { watchId, created, canceled, events, fragment, header } = response
    if (created) this.#onCreated(response)
    else if (canceled) this.#onCanceled(response)
    else if (watchId === everyWatcher) this.#onProgress(header?.revision ?? 0)
    else if (events.length > 0 || fragment || this.#fragments.has(watchId)) this.#onEvents(response)
    else if (this.#trusted) this.#advance(watchId, (watch) => watch.progress(header?.revision ?? 0))
  }

  onDraining(): void {
    this.#host.draining(this)
  }

  protected onOpen(): void {
    if (this.#isPaused) this.call?.pause()
    this.#host.opened(this)
    this.#createWaiting()
  }

  protected onLost(error: unknown): void {
    this.#host.lost(this, error)
  }

  #createWaiting(): void {
    if (this.call === undefined || this.isClosed) return
    for (const watching of this.#waiting) {
      if (this.#takesIds !== true && this.#creating.length > 0) return
      this.#waiting.delete(watching)
      this.#create(watching)
    }
  }

  #create(watching: Watching): void {
    const { key, rangeEnd, prevKv, filters } = watching.watch.spec
    watching.askedBefore = this.#asked
    this.#creating.push(watching)
    const createRequest = {
      key,
      rangeEnd,
      prevKv,
      filters,
      startRevision: watching.watch.next,
      watchId: watching.id,
      fragment: this.#wantsFragments(watching.watch),
      // Keeps quiet and filtered watchers ahead of compaction.
      progressNotify: true,
    }
    this.call?.send({ createRequest })
  }

  #wantsFragments({ isDense, spec }: ServerWatch): boolean {
    const dataBytes = this.call?.dataBytes ?? Number.POSITIVE_INFINITY
    // With previous values, an answer may hold each value twice.
    return !isDense && dataBytes * (spec.prevKv ? 2 : 1) > smallDataBytes
  }

  #onCreated(response: WatchResponse): void {
    // The response for a refused watcher has no ID, but create requests are answered in order.
    const watching = this.#creating.shift()
    if (watching === undefined) return
    if (!response.canceled) {
      this.#takesIds ??= response.watchId === watching.id
      watching.id = response.watchId
      watching.createdAt = response.header?.revision ?? 0
    }
    if (this.#byWatch.get(watching.watch) === watching) this.#take(watching, response)
    else if (!response.canceled) this.#cancel(watching.id)
    this.#createWaiting()
  }

  #take(watching: Watching, response: WatchResponse): void {
    if (!response.canceled) this.#byId.set(watching.id, watching)
    const error = response.canceled ? this.#reason(response) : this.#host.created(this, watching.watch, response)
    if (error !== undefined) this.#end(watching.watch, error, !response.canceled)
  }

  #cancel(watchId: number): void {
    this.call?.send({ cancelRequest: { watchId } })
  }

  #onCanceled(response: WatchResponse): void {
    const watching = this.#byId.get(response.watchId)
    if (watching !== undefined) this.#end(watching.watch, this.#reason(response), false)
  }

  #end(watch: ServerWatch, error: EtcdError, isOnServer: boolean): void {
    if (isOnServer) this.remove(watch)
    else this.#forget(watch)
    this.#host.ended(this, watch, error)
  }

  /** Fragments are split by size, also within a revision; a revision is delivered when it is complete. */
  #onEvents({ watchId, events, fragment, hasMore, eventCount = events.length }: WatchResponsePart): void {
    if (!this.#byId.has(watchId)) return
    const earlier = this.#fragments.get(watchId)
    const all = earlier === undefined ? events : [...earlier, ...events]
    const count = fragment ? completeCount(all) : all.length
    if (fragment) this.#fragments.set(watchId, all.slice(count))
    else this.#fragments.delete(watchId)
    const complete = count === all.length ? all : all.slice(0, count)
    if (count > 0) this.#advance(watchId, (watch) => watch.deliver(batchesOf(complete, watch.next)))
    if (hasMore !== true) this.#splitAsFits(watchId, fragment, eventCount)
  }

  /** Creates a watcher again, at its current revision, if it should start or stop to use fragments. */
  #splitAsFits(watchId: number, isPart: boolean, eventCount: number): void {
    const watch = this.#byId.get(watchId)?.watch
    if (watch === undefined) return
    const isDense = eventCount >= denseEvents && (isPart || watch.isDense)
    if (isDense === watch.isDense) return
    watch.isDense = isDense
    this.remove(watch)
    this.add(watch)
  }

  #onProgress(revision: number): void {
    this.#answered += 1
    if (!this.#trusted) return
    for (const watching of this.#byId.values()) {
      if (this.#speaksFor(watching, revision)) this.#advance(watching.id, (watch) => watch.progress(revision))
    }
  }

  /**
   * Whether a progress notification applies to this watcher. It may be sent before the response to a create request but
   * arrive after it; then it does not include the watcher, which may still receive older events. It applies if more
   * notifications have arrived than were requested before the create request, or if its revision is higher than that of
   * the creation.
   */
  #speaksFor({ createdAt, askedBefore }: Watching, revision: number): boolean {
    return createdAt !== undefined && (this.#answered > askedBefore || revision > createdAt)
  }

  #advance(id: number, advance: (watch: ServerWatch) => void): void {
    const watching = this.#byId.get(id)
    if (watching === undefined) return
    advance(watching.watch)
    this.#host.advanced(this, watching.watch)
  }

  #forget(watch: ServerWatch): Watching | undefined {
    const watching = this.#byWatch.get(watch)
    if (watching === undefined) return undefined
    this.#byWatch.delete(watch)
    this.#waiting.delete(watching)
    if (this.#byId.get(watching.id) === watching) this.#byId.delete(watching.id)
    this.#fragments.delete(watching.id)
    return watching
  }

  #reason({ cancelReason, compactRevision }: WatchResponse): EtcdError {
    const place = { method: methods.Watch.Watch.name, endpoint: this.endpoint ?? '' }
    if (compactRevision > 0) {
      const message = 'the revisions that the watch needs to resume were compacted'
      return new CompactedError(message, { ...place, effect: 'none', compactRevision })
    }
    if (cancelReason === '') {
      return new EtcdError('the member canceled the watch', { ...place, code: 'WATCH_CANCELED', effect: 'none' })
    }
    const forever = Number.POSITIVE_INFINITY
    return toEtcdError({ code: 2, details: cancelReason }, { ...place, sent: true, deadlineAt: forever, now: 0 })
  }
}
