import { halfJitterMs } from '../core/backoff.js'
import { EtcdError, isEtcdError } from '../core/errors.js'
import type { WatchResponse } from '../protobuf/generated/messages.js'
import type { StreamSource } from '../streams/stream-source.js'
import { RewindCheck } from './rewind-check.js'
import type { ServerWatch } from './server-watch.js'
import { isTerminal } from './terminal.js'
import { type WatchPurpose, WatchStream, type WatchStreamHost } from './watch-stream.js'

/** What a client's events say about its watches. */
export interface WatchEvents {
  /** The stream of some watches was lost; they go on elsewhere with nothing missed. */
  watchLost: { readonly endpoint: string | undefined; readonly watches: number; readonly error: unknown }
  /** They are on a member again. */
  watchResumed: { readonly endpoint: string; readonly watches: number; readonly downMs: number }
}

/** What streams need from the client. */
export interface SharedWatchStreamHost {
  readonly streams: Pick<StreamSource, 'open' | 'hasOther' | 'refused' | 'used'>
  readonly events: { emit<Name extends keyof WatchEvents>(name: Name, payload: WatchEvents[Name]): void }
  /** The revision of the cluster by a linearizable read within the watch's range. */
  currentRevision(watch: ServerWatch): Promise<number>
}

/** Who shares watchers out. */
export interface SharedWatchStreamOwner {
  advanced(stream: SharedWatchStream, watch: ServerWatch): void
  /** The watcher is over; what its subscribers are told of that is the owner's. */
  ended(stream: SharedWatchStream, watch: ServerWatch, error: unknown): void
  /** No member has a assignment for a stream of this one: its watchers are to be taken off it. */
  streamLimitReached(stream: SharedWatchStream, watches: readonly ServerWatch[]): void
}

const backoff = { baseMs: 50, maxMs: 2000 }
/** How often quiet watchers are moved on, so that they do not fall behind compaction. */
const progressEveryMs = 60_000
/** How long a member may take to answer the first create of a stream: it may be frozen. Doubles with each that does not. */
const answerPatience = { baseMs: 3000, maxMs: 48_000 }
/** A stream that has brought something, or has lasted so long, ends a row of failures: not so one that always breaks at once. */
const healthyMs = 1000
/** Tokens that a watcher may have refused in a row before that is taken for an answer. */
const maxRefusals = 3

/**
 * Watchers that share a stream, and go on with the next one when it ends: each at the revision after the last that it has
 * seen, all created at once. There is at most one stream at a time, and none without watchers.
 */
export class SharedWatchStream implements WatchStreamHost {
  readonly #host: SharedWatchStreamHost
  readonly #owner: SharedWatchStreamOwner
  readonly #purpose: WatchPurpose
  readonly #watches = new Set<ServerWatch>()
  readonly #excludedEndpoints = new Set<string>()
  readonly #rewinds: RewindCheck
  #stream: WatchStream | undefined
  #reopening: NodeJS.Timeout | undefined
  #progress: NodeJS.Timeout | undefined
  #patience: NodeJS.Timeout | undefined
  #lostAt: number | undefined
  /** Since when the stream has worked; `undefined` for one whose member has not answered. */
  #worksSince: number | undefined
  /** Streams in a row that were lost before they brought anything, and those of them whose member did not answer. */
  #failures = 0
  #silences = 0
  #isPaused = false

  constructor(host: SharedWatchStreamHost, owner: SharedWatchStreamOwner, purpose: WatchPurpose) {
    this.#purpose = purpose
    this.#host = host
    this.#owner = owner
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
    return this.#stream?.endpoint
  }

  add(watch: ServerWatch): void {
    this.#watches.add(watch)
    if (this.#stream !== undefined) this.#stream.add(watch)
    else if (this.#reopening === undefined) this.#open()
  }

  remove(watch: ServerWatch): void {
    this.#watches.delete(watch)
    this.#stream?.remove(watch)
    if (this.#watches.size === 0) this.#rest()
  }

  /** When the member of the stream sent something last. */
  get lastMessageAt(): number {
    return this.#stream?.lastMessageAt ?? Number.NEGATIVE_INFINITY
  }

  requestProgress(): void {
    this.#stream?.requestProgress()
  }

  ping(): void {
    this.#stream?.ping()
  }

  /** The cluster was restored: watchers may have seen what it does not have any more. */
  suspect(): void {
    for (const watch of this.#watches) if (watch.isCreated) this.#rewinds.suspect(watch)
  }

  /** Reads no further, so that the member is held back. */
  pause(): void {
    this.#isPaused = true
    this.#stream?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#stream?.resume()
  }

  /** Ends all watchers with `error`. */
  close(error: unknown): void {
    const watches = [...this.#watches]
    this.#watches.clear()
    this.#rest()
    for (const watch of watches) this.#owner.ended(this, watch, error)
  }

  /** A stream to a frozen member opens like any other, and its connection takes longer to find out. */
  opened(stream: WatchStream): void {
    clearTimeout(this.#patience)
    const patienceMs = Math.min(answerPatience.maxMs, answerPatience.baseMs * 2 ** this.#silences)
    const { endpoint } = stream
    this.#patience = setTimeout(() => {
      this.#silences += 1
      const init = { code: 'CONNECTION_LOST', effect: 'none', endpoint } as const
      this.#giveUp(stream, new EtcdError('the member does not answer', init))
    }, patienceMs).unref()
  }

  created(stream: WatchStream, watch: ServerWatch, { header }: WatchResponse): EtcdError | undefined {
    const endpoint = stream.endpoint ?? ''
    const revision = header?.revision ?? 0
    this.#works(stream)
    const error = this.#take(watch, revision, header?.clusterId, endpoint)
    this.#emitResumed(endpoint)
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
    if (stream.opened !== undefined) this.#host.streams.used(stream.opened)
    this.#failures = 0
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
    if (stream !== this.#stream) return
    this.#stream = undefined
    clearTimeout(this.#patience)
    if (isTerminal(error)) {
      this.close(error)
      return
    }
    if (this.#purpose === 'slow watch' && isEtcdError(error, 'STREAM_LIMIT')) {
      this.#owner.streamLimitReached(this, [...this.#watches])
      return
    }
    if (isEtcdError(error)) this.#refused(stream, error)
    this.#countFailure()
    this.#leave(stream.endpoint, error)
    const elsewhere =
      this.#failures === 1 && stream.endpoint !== undefined && this.#host.streams.hasOther(stream.endpoint)
    const delayMs = elsewhere ? 0 : halfJitterMs(this.#failures, backoff)
    this.#reopening = setTimeout(() => this.#open(), delayMs)
    this.#emitLost(stream.endpoint, error)
  }

  leaving(stream: WatchStream): void {
    const { endpoint } = stream
    if (endpoint === undefined || stream !== this.#stream || !this.#host.streams.hasOther(endpoint)) return
    this.#move(
      new EtcdError('the member closes its connections', { code: 'CONNECTION_LOST', effect: 'none', endpoint }),
    )
  }

  #countFailure(): void {
    const workedMs = this.#worksSince === undefined ? 0 : performance.now() - this.#worksSince
    if (workedMs >= healthyMs) this.#failures = 0
    this.#failures += 1
    this.#worksSince = undefined
  }

  /** Leaves the stream for another one, without waiting for it to end. */
  #move(reason: unknown): void {
    const { endpoint } = this
    this.#stream?.close()
    this.#stream = undefined
    this.#worksSince = undefined
    this.#leave(endpoint, reason)
    this.#open()
    this.#emitLost(endpoint, reason)
  }

  #open(): void {
    clearTimeout(this.#reopening)
    this.#reopening = undefined
    this.#progress ??= setInterval(() => this.requestProgress(), progressEveryMs).unref()
    const stream = new WatchStream(this)
    this.#stream = stream
    if (this.#isPaused) stream.pause()
    for (const watch of this.#watches) stream.add(watch)
    void stream.open(this.#host.streams, this.#excludedEndpoints, this.#purpose)
  }

  #giveUp(stream: WatchStream, error: EtcdError): void {
    stream.close()
    this.lost(stream, error)
  }

  #rest(): void {
    this.#rewinds.rest()
    clearTimeout(this.#patience)
    clearTimeout(this.#reopening)
    clearInterval(this.#progress)
    this.#reopening = undefined
    this.#progress = undefined
    this.#stream?.close()
    this.#stream = undefined
    this.#worksSince = undefined
    this.#failures = 0
    this.#silences = 0
    this.#lostAt = undefined
    this.#excludedEndpoints.clear()
  }

  #works(stream: WatchStream): void {
    if (stream.opened !== undefined) this.#host.streams.used(stream.opened)
    clearTimeout(this.#patience)
    this.#worksSince ??= performance.now()
    this.#silences = 0
    this.#excludedEndpoints.clear()
  }

  #leave(endpoint: string | undefined, error: unknown): void {
    if (endpoint !== undefined) this.#excludedEndpoints.add(endpoint)
    for (const watch of this.#watches) watch.lost(error)
  }

  /** Listeners may make watches and close them, or the client: everything else is done before. So for `#tellLost`. */
  #emitResumed(endpoint: string): void {
    if (this.#lostAt === undefined) return
    const downMs = performance.now() - this.#lostAt
    this.#lostAt = undefined
    this.#host.events.emit('watchResumed', { endpoint, watches: this.size, downMs })
  }

  #emitLost(endpoint: string | undefined, error: unknown): void {
    if (this.#lostAt !== undefined) return
    this.#lostAt = performance.now()
    this.#host.events.emit('watchLost', { endpoint, watches: this.size, error })
  }

  #refused(stream: WatchStream, error: EtcdError): boolean {
    return stream.opened !== undefined && this.#host.streams.refused(stream.opened, error)
  }
}

function otherCluster({ clusterId }: ServerWatch, endpoint: string): EtcdError {
  return new EtcdError(`the watch belongs to cluster ${clusterId}, which is gone from this address`, {
    code: 'CLUSTER_CHANGED',
    effect: 'none',
    endpoint,
  })
}
