import { CompactedError, EtcdError } from '../core/errors.js'
import type { Event, WatchResponse } from '../gen/messages.js'
import type { OpenStream, StreamSource } from '../layers/stream-source.js'
import { toEtcdError } from '../transport/grpc-status.js'
import type { StreamListener } from '../transport/stream-call.js'
import { methods } from '../wire/methods.js'
import { trustsProgress } from './progress-trust.js'
import type { ServerWatch } from './server-watch.js'
import { batchesOf } from './watch-event.js'

/** What happens on a watch stream, for who keeps the watchers. */
export interface WatchStreamHost {
  /** The member answered a create. Returns what ends the watcher, if anything does. */
  created(stream: WatchStream, watch: ServerWatch, response: WatchResponse): EtcdError | undefined
  /** New events or progress have reached the watcher. */
  advanced(stream: WatchStream, watch: ServerWatch): void
  /** The member refused or ended one watcher, and has forgotten it. */
  ended(stream: WatchStream, watch: ServerWatch, error: EtcdError): void
  /** The stream is over, or could not be opened; its watchers are left without one. */
  lost(stream: WatchStream, error: unknown): void
  /** The stream will be over in some seconds. */
  leaving(stream: WatchStream): void
}

/** The answer that speaks for all watchers of a stream. */
const everyWatcher = -1

/**
 * One gRPC stream with any number of server-side watchers. Their ids are chosen here, so that all of them can be created
 * at once: the member answers creates strictly in order.
 */
export class WatchStream implements StreamListener<WatchResponse> {
  readonly #host: WatchStreamHost
  readonly #abort = new AbortController()
  readonly #ids = new Map<ServerWatch, number>()
  readonly #watches = new Map<number, ServerWatch>()
  /** The ids whose creation was not answered yet, in order. */
  #creating: number[] = []
  /** Events of a revision that was split over several answers. */
  readonly #fragments = new Map<number, Event[]>()
  #open: OpenStream<Parameters<typeof methods.Watch.Watch.encode>[0], WatchResponse> | undefined
  #lastId = 0
  /** The last id that was created when progress was asked for. */
  #askedUpTo = 0
  #isPaused = false

  constructor(host: WatchStreamHost) {
    this.#host = host
  }

  get watches(): readonly ServerWatch[] {
    return [...this.#ids.keys()]
  }

  get size(): number {
    return this.#ids.size
  }

  /** The member that it is on; `undefined` before it is open. */
  get endpoint(): string | undefined {
    return this.#open?.call.endpoint
  }

  /** The open stream, for its token. */
  get opened(): OpenStream | undefined {
    return this.#open as OpenStream | undefined
  }

  /** Whether the member's word of progress may move a watcher on. */
  get #trusted(): boolean {
    return trustsProgress(this.#open?.call.serverVersion)
  }

  async open(source: StreamSource, failedOn: Set<string>): Promise<void> {
    try {
      const open = await source.open(methods.Watch.Watch, this, { signal: this.#abort.signal, failedOn })
      this.#open = open
      if (this.#isPaused) open.call.pause()
      for (const [watch, id] of this.#ids) this.#create(watch, id)
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#host.lost(this, error)
    }
  }

  /** Creates a watcher here, at its `next` revision. */
  add(watch: ServerWatch): void {
    this.#lastId += 1
    this.#ids.set(watch, this.#lastId)
    this.#watches.set(this.#lastId, watch)
    if (this.#open !== undefined) this.#create(watch, this.#lastId)
  }

  /** Ends a watcher; what the member still sends for it is dropped. */
  remove(watch: ServerWatch): void {
    const id = this.#forget(watch)
    if (id !== undefined) this.#open?.call.send({ cancelRequest: { watchId: id } })
  }

  /** Asks the member how far all watchers are. It answers when all of them have caught up, else not at all. */
  requestProgress(): void {
    if (!this.#trusted || this.#creating.length > 0 || this.size === 0) return
    this.#askedUpTo = this.#lastId
    this.#open?.call.send({ progressRequest: {} })
  }

  pause(): void {
    this.#isPaused = true
    this.#open?.call.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#open?.call.resume()
  }

  /** Ends the stream; its watchers stay as they are. */
  close(): void {
    this.#abort.abort()
    this.#open?.call.cancel()
  }

  onMessage(response: WatchResponse): void {
    const { watchId, created, canceled, events, fragment, header } = response
    if (created) this.#onCreated(response)
    else if (canceled) this.#onCanceled(response)
    else if (watchId === everyWatcher) this.#onProgress(header?.revision ?? 0)
    else if (events.length > 0 || fragment || this.#fragments.has(watchId)) this.#onEvents(response)
    else if (this.#trusted) this.#advance(watchId, (watch) => watch.progress(header?.revision ?? 0))
  }

  onEnd(error: EtcdError | undefined): void {
    this.#abort.abort()
    this.#host.lost(this, error ?? ended(this.endpoint))
  }

  onLeaving(): void {
    this.#host.leaving(this)
  }

  #create(watch: ServerWatch, watchId: number): void {
    const { spec, next } = watch
    this.#creating.push(watchId)
    // Periodic progress keeps quiet and filtered watchers from falling behind compaction.
    const createRequest = { ...spec, startRevision: next, watchId, fragment: true, progressNotify: true }
    this.#open?.call.send({ createRequest })
  }

  #onCreated(response: WatchResponse): void {
    const id = this.#creating.shift()
    const watch = id === undefined ? undefined : this.#watches.get(id)
    // It was removed meanwhile; the cancel is on its way.
    if (watch === undefined) return
    // A refused watcher has no id: creates are answered in order.
    const error = response.canceled ? this.#reason(response) : this.#host.created(this, watch, response)
    if (error !== undefined) this.#end(watch, error, !response.canceled)
  }

  #onCanceled(response: WatchResponse): void {
    const watch = this.#watches.get(response.watchId)
    if (watch !== undefined) this.#end(watch, this.#reason(response), false)
  }

  #end(watch: ServerWatch, error: EtcdError, isOnServer: boolean): void {
    if (isOnServer) this.remove(watch)
    else this.#forget(watch)
    this.#host.ended(this, watch, error)
  }

  #onEvents({ watchId, events, fragment }: WatchResponse): void {
    const earlier = this.#fragments.get(watchId)
    const all = earlier === undefined ? events : earlier.concat(events)
    if (fragment) {
      this.#fragments.set(watchId, all)
      return
    }
    this.#fragments.delete(watchId)
    this.#advance(watchId, (watch) => watch.deliver(batchesOf(all, watch.next)))
  }

  #onProgress(revision: number): void {
    if (!this.#trusted) return
    // The answer may overtake that to a create, and does not speak for watchers made after the question.
    for (const id of this.#watches.keys()) {
      if (id <= this.#askedUpTo) this.#advance(id, (watch) => watch.progress(revision))
    }
  }

  #advance(id: number, advance: (watch: ServerWatch) => void): void {
    const watch = this.#watches.get(id)
    if (watch === undefined) return
    advance(watch)
    this.#host.advanced(this, watch)
  }

  #forget(watch: ServerWatch): number | undefined {
    const id = this.#ids.get(watch)
    this.#ids.delete(watch)
    if (id === undefined) return undefined
    this.#watches.delete(id)
    this.#fragments.delete(id)
    return id
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

function ended(endpoint: string | undefined): EtcdError {
  return new EtcdError('the member ended the stream', {
    code: 'CONNECTION_LOST',
    effect: 'none',
    retryable: true,
    endpoint,
    method: methods.Watch.Watch.name,
  })
}
