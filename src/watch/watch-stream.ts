import { CompactedError, EtcdError } from '../core/errors.js'
import type { Event, WatchRequest, WatchResponse } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { BidiStream } from '../streams/bidi-stream.js'
import { toEtcdError } from '../transport/grpc-status.js'
import { hasReliableProgress } from './progress-support.js'
import { ServerWatch } from './server-watch.js'
import { batchesOf, completeCount } from './watch-event.js'

/** What happens on a watch stream, for who keeps the watchers. */
export interface WatchStreamHost {
  /** The stream is open, and the creates of its watchers are on their way. */
  opened(stream: WatchStream): void
  /** The member answered a create. Returns what ends the watcher, if anything does. */
  created(stream: WatchStream, watch: ServerWatch, response: WatchResponse): EtcdError | undefined
  /** New events or progress have reached the watcher. */
  advanced(stream: WatchStream, watch: ServerWatch): void
  /** The member refused or ended one watcher, and has forgotten it. */
  ended(stream: WatchStream, watch: ServerWatch, error: EtcdError): void
  /** The stream is over, or could not be opened; its watchers are left without one. */
  lost(stream: WatchStream, error: unknown): void
  /** The member will end the stream within seconds. */
  draining(stream: WatchStream): void
}

/** `slow watch`: the stream of one watch, whose consumer does not keep up; it is opened only where there is room. */
export type WatchPurpose = 'watch' | 'slow watch'

/** The answer that speaks for all watchers of a stream. */
const everyWatcher = -1

/**
 * So many events in one part of a split answer are small ones. A member splits in quadratic time: for such events, seconds of
 * CPU for each answer. Whole answers of them are of tens of MiB at most, and are asked for as long as they hold so many.
 */
const denseEvents = 4000

/**
 * The history of a database with no more than this fits into one answer. Answers about it are asked for whole, so that
 * catching up costs the member no time for splitting.
 */
const smallDataBytes = 64 * 2 ** 20

/** A watcher on this stream. */
interface Watching {
  /** The id that the member was asked to give it, and then the one that it has. */
  id: number
  readonly watch: ServerWatch
  /** How often progress had been asked for when the create was sent. */
  askedBefore: number
  /** The revision that the member had when it made the watcher; `undefined` until its answer is here. */
  createdAt: number | undefined
}

/**
 * One gRPC stream with any number of server-side watchers. Their ids are chosen here, so that all of them can be created
 * at once: a member answers creates strictly in order. Not so etcd's gRPC proxy, which gives ids of its own and answers in
 * any order. So the first create goes alone; where its answer has another id, so does every later one.
 */
export class WatchStream extends BidiStream<WatchRequest, WatchResponse> {
  readonly #host: WatchStreamHost
  readonly #byWatch = new Map<ServerWatch, Watching>()
  /** Those that the member has made. */
  readonly #byId = new Map<number, Watching>()
  /** Those whose creation was not asked for yet. */
  readonly #waiting = new Set<Watching>()
  /** Those whose creation was not answered yet, in order. */
  readonly #creating: Watching[] = []
  /** Whether the member gives watchers the ids that it is asked to; `undefined` until it has made one. */
  #takesIds: boolean | undefined
  /** Events of an answer that was split into several, as far as the rest of their revision is still to come. */
  readonly #fragments = new Map<number, Event[]>()
  #lastId = 0
  /** How often progress was asked for, and answered. The member answers a question at once or never. */
  #asked = 0
  #answered = 0
  #isPaused = false
  #lastMessageAt = Number.NEGATIVE_INFINITY

  constructor(host: WatchStreamHost, purpose: WatchPurpose = 'watch') {
    super(methods.Watch.Watch, purpose)
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

  /** Creates a watcher here, at its `next` revision. */
  add(watch: ServerWatch): void {
    this.#lastId += 1
    const watching: Watching = { id: this.#lastId, watch, askedBefore: 0, createdAt: undefined }
    this.#byWatch.set(watch, watching)
    this.#waiting.add(watching)
    this.#createWaiting()
  }

  /** Ends a watcher; what the member still sends for it is dropped. */
  remove(watch: ServerWatch): void {
    const watching = this.#forget(watch)
    // One that is on its way gets its cancel when the id is known.
    if (watching?.createdAt !== undefined) this.#cancel(watching.id)
  }

  /** Asks the member how far all watchers are. It answers when all of them have caught up, else not at all. */
  requestProgress(): void {
    if (!this.#trusted || this.#byWatch.size === 0) return
    this.#asked += 1
    this.call?.send({ progressRequest: {} })
  }

  /**
   * Makes the member send something, if it is alive: it answers every create, but a question for progress only when all
   * watchers have caught up and their first revision has come. The watcher is removed before it is there.
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

  onMessage(response: WatchResponse): void {
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
      // Keeps quiet and filtered watchers from falling behind compaction.
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
    // A refused watcher has no id: creates are answered in order.
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

  /** Answers are split by size, wherever that is; a revision goes further when it is whole. */
  #onEvents({ watchId, events, fragment }: WatchResponse): void {
    if (!this.#byId.has(watchId)) return
    const earlier = this.#fragments.get(watchId)
    const all = earlier === undefined ? events : [...earlier, ...events]
    const count = fragment ? completeCount(all) : all.length
    if (fragment) this.#fragments.set(watchId, all.slice(count))
    else this.#fragments.delete(watchId)
    if (count === 0) return
    const complete = count === all.length ? all : all.slice(0, count)
    this.#advance(watchId, (watch) => watch.deliver(batchesOf(complete, watch.next)))
    this.#splitAsFits(watchId, fragment, events.length)
  }

  /** Makes a watcher anew, where it is now, when its answers are better split, or better not. */
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
   * Whether an answer to a question for progress is about this watcher. It may overtake the answer to the create, and be
   * overtaken by it: then it is about the time before, and the watcher may have older events to come. It is not if there
   * were more answers than questions before the create, or if its revision is a later one than that of the create.
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
      const message = 'the history that the watch needs to go on was compacted'
      return new CompactedError(message, { ...place, effect: 'none', compactRevision })
    }
    if (cancelReason === '') {
      return new EtcdError('the member ended the watch', { ...place, code: 'WATCH_CANCELED', effect: 'none' })
    }
    const forever = Number.POSITIVE_INFINITY
    return toEtcdError({ code: 2, details: cancelReason }, { ...place, sent: true, deadlineAt: forever, now: 0 })
  }
}
