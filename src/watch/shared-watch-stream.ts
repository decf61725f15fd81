import { EtcdError, isEtcdError } from '../core/errors.js'
import { Repetition } from '../core/repetition.js'
import type { WatchResponse } from '../protobuf/generated/messages.js'
import { ReconnectingStream } from '../streams/reconnecting-stream.js'
import type { StreamSource } from '../streams/stream-source.js'
import { RewindCheck } from './rewind-check.js'
import type { ServerWatch } from './server-watch.js'
import { isTerminal } from './terminal.js'
import { type WatchPurpose, WatchStream, type WatchStreamHost } from './watch-stream.js'

/** A client's events about its watches. */
export interface WatchEvents {
  /** The stream of `watches` watches was lost; they resume on another one without a gap. */
  watchLost: { readonly endpoint: string | undefined; readonly watches: number; readonly error: unknown }
  /** The watches are on a member again, `downMs` after `watchLost`. */
  watchResumed: { readonly endpoint: string; readonly watches: number; readonly downMs: number }
}

/** What shared watch streams need from the client. */
export interface SharedWatchStreamHost {
  readonly streams: Pick<StreamSource, 'open' | 'hasOther' | 'refused' | 'used'>
  readonly events: { emit<Name extends keyof WatchEvents>(name: Name, payload: WatchEvents[Name]): void }
  /** The cluster's revision, from a linearizable read within the watch's range. */
  currentRevision(watch: ServerWatch): Promise<number>
}

/** Assigns watchers to streams. */
export interface SharedWatchStreamOwner {
  advanced(stream: SharedWatchStream, watch: ServerWatch): void
  /** The watcher has ended; the owner reports that to its subscribers. */
  ended(stream: SharedWatchStream, watch: ServerWatch, error: unknown): void
  /** No member has a free slot for this stream: the owner moves its watchers to another one. */
  streamLimitReached(stream: SharedWatchStream, watches: readonly ServerWatch[]): void
}

const backoff = { baseMs: 50, maxMs: 2000 }
/** How often progress is requested, so that quiet watchers do not fall behind compaction. */
const progressEveryMs = 60_000
/** How long a member, which may be frozen, has to answer the first create request of a stream. Doubles with each timeout. */
const answerPatience = { baseMs: 3000, maxMs: 48_000 }
/** How many refusals of its token in a row a watcher survives. */
const maxRefusals = 3

/**
 * A stream that several watchers share. When it is lost, all of them are created on the next one, each at the revision after
 * the last one that it has received. There is at most one gRPC stream at a time, and none without watchers.
 */
export class SharedWatchStream implements WatchStreamHost {
  readonly #host: SharedWatchStreamHost
  readonly #owner: SharedWatchStreamOwner
  readonly #purpose: WatchPurpose
  readonly #watches = new Set<ServerWatch>()
  readonly #stream: ReconnectingStream<WatchStream>
  readonly #rewinds: RewindCheck
  #progress: Repetition | undefined
  #patience: NodeJS.Timeout | undefined
  /** Streams in a row whose member did not answer. */
  #silences = 0
  #isPaused = false

  constructor(host: SharedWatchStreamHost, owner: SharedWatchStreamOwner, purpose: WatchPurpose) {
    this.#purpose = purpose
    this.#host = host
    this.#owner = owner
    this.#stream = new ReconnectingStream({
      streams: host.streams,
      create: () => this.#create(),
      backoff: () => backoff,
      onLost: (endpoint, error) => host.events.emit('watchLost', { endpoint, watches: this.size, error }),
      onResumed: (endpoint, downMs) => host.events.emit('watchResumed', { endpoint, watches: this.size, downMs }),
    })
    this.#rewinds = new RewindCheck({
      currentRevision: (watch) => host.currentRevision(watch),
      isWatching: (watch) => this.#watches.has(watch),
      rewound: (watch, error) => {
        this.remove(watch)
        this.#owner.ended(this, watch, error)
      },
    })
  }

  get size(): number {
    return this.#watches.size
  }

  get endpoint(): string | undefined {
    return this.#stream.current?.endpoint
  }

  add(watch: ServerWatch): void {
    this.#watches.add(watch)
    this.#progress ??= new Repetition(progressEveryMs, () => this.requestProgress())
    this.#stream.current?.add(watch)
    this.#stream.start()
  }

  remove(watch: ServerWatch): void {
    this.#watches.delete(watch)
    this.#stream.current?.remove(watch)
    if (this.#watches.size === 0) this.#rest()
  }

  /** When the member last sent a message. */
  get lastMessageAt(): number {
    return this.#stream.current?.lastMessageAt ?? Number.NEGATIVE_INFINITY
  }

  /** Whether the member is known not to report progress reliably. */
  get lacksProgress(): boolean {
    return this.#stream.current?.lacksProgress ?? false
  }

  requestProgress(): void {
    this.#stream.current?.requestProgress()
  }

  ping(): void {
    this.#stream.current?.ping()
  }

  /** The cluster was restored: watchers may have seen revisions that no longer exist. */
  suspect(): void {
    for (const watch of this.#watches) if (watch.isCreated) this.#rewinds.suspect(watch)
  }

  /** Stops reading, so that flow control holds the member back. */
  pause(): void {
    this.#isPaused = true
    this.#stream.current?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#stream.current?.resume()
  }

  /** Ends all watchers with `error`. */
  close(error: unknown): void {
    const watches = [...this.#watches]
    this.#watches.clear()
    this.#rest()
    for (const watch of watches) this.#owner.ended(this, watch, error)
  }

  /** A stream to a frozen member opens like any other, and its connection takes longer to detect that. */
  opened(stream: WatchStream): void {
    clearTimeout(this.#patience)
    const patienceMs = Math.min(answerPatience.maxMs, answerPatience.baseMs * 2 ** this.#silences)
    this.#patience = setTimeout(() => {
      this.#silences += 1
      stream.fail('the member does not answer')
    }, patienceMs).unref()
  }

  created(stream: WatchStream, watch: ServerWatch, { header }: WatchResponse): EtcdError | undefined {
    const endpoint = stream.endpoint ?? ''
    const revision = header?.revision ?? 0
    clearTimeout(this.#patience)
    this.#silences = 0
    this.#stream.markWorking(stream)
    const error = this.#take(watch, revision, header?.clusterId, endpoint)
    this.#stream.reportResumed(endpoint)
    return error
  }

  #take(watch: ServerWatch, revision: number, clusterId: string | undefined, endpoint: string): EtcdError | undefined {
    if (watch.clusterId !== undefined && watch.clusterId !== clusterId) return otherCluster(watch, endpoint)
    if (revision < watch.seen) this.#rewinds.suspect(watch)
    watch.created(revision, clusterId, endpoint)
    this.#owner.advanced(this, watch)
    return undefined
  }

  advanced(stream: WatchStream, watch: ServerWatch): void {
    this.#stream.markHealthy(stream)
    this.#owner.advanced(this, watch)
  }

  ended(stream: WatchStream, watch: ServerWatch, error: EtcdError): void {
    if (watch.refusals < maxRefusals && this.#refused(stream, error)) {
      watch.refusals += 1
      this.#move(error)
      return
    }
    this.#watches.delete(watch)
    if (this.#watches.size === 0) this.#rest()
    this.#owner.ended(this, watch, error)
  }

  lost(stream: WatchStream, error: unknown): void {
    if (!this.#stream.release(stream)) return
    clearTimeout(this.#patience)
    if (isTerminal(error)) {
      this.close(error)
      return
    }
    if (this.#purpose === 'slow watch' && isEtcdError(error, 'STREAM_LIMIT')) {
      this.#owner.streamLimitReached(this, [...this.#watches])
      return
    }
    for (const watch of this.#watches) watch.lost(error)
    if (this.#stream.replacesToken(stream, error)) this.#stream.open()
    else this.#stream.failed(stream.endpoint)
    this.#stream.reportLost(stream.endpoint, error)
  }

  draining(stream: WatchStream): void {
    const { endpoint } = stream
    if (endpoint === undefined || stream !== this.#stream.current || !this.#host.streams.hasOther(endpoint)) return
    const init = { code: 'CONNECTION_LOST', effect: 'none', endpoint } as const
    this.#move(new EtcdError('the member closes its connections', init))
  }

  /** Leaves the stream for another one, without waiting for it to end. */
  #move(reason: unknown): void {
    const { endpoint } = this
    for (const watch of this.#watches) watch.lost(reason)
    this.#stream.replace()
    this.#stream.reportLost(endpoint, reason)
  }

  #create(): WatchStream {
    const stream = new WatchStream(this, this.#purpose)
    if (this.#isPaused) stream.pause()
    for (const watch of this.#watches) stream.add(watch)
    return stream
  }

  #rest(): void {
    this.#rewinds.rest()
    clearTimeout(this.#patience)
    this.#progress?.stop()
    this.#progress = undefined
    this.#silences = 0
    this.#stream.stop()
  }

  #refused(stream: WatchStream, error: EtcdError): boolean {
    return stream.opened !== undefined && this.#host.streams.refused(stream.opened, error)
  }
}

function otherCluster({ clusterId }: ServerWatch, endpoint: string): EtcdError {
  return new EtcdError(`the watch belongs to cluster ${clusterId}, but another cluster answers at this address`, {
    code: 'CLUSTER_CHANGED',
    effect: 'none',
    endpoint,
  })
}
