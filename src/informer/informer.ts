import { type Codec, text } from '../core/codec.js'
import { Emitter } from '../core/emitter.js'
import { EtcdError } from '../core/errors.js'
import type { Bytes, KeyRange } from '../core/key-range.js'
import { printAs } from '../core/printing.js'
import { assertFunction, nonNegativeInteger, ownBytes } from '../core/validate.js'
import { notInTime, waitWithin } from '../core/wait.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchBatch } from '../watch/watch-event.js'
import type { Change, ChangeOfType, ChangeSource } from './change.js'
import type { InvalidEntry } from './draft.js'
import type { Entry } from './entry.js'
import { Freshness } from './freshness.js'
import type { ChangeHandler } from './handler-queue.js'
import { Handlers, type Known } from './handlers.js'
import type { Indexes } from './index-table.js'
import {
  checkEventsOptions,
  checkReadyOptions,
  type EventsOptions,
  type InformerEvents,
  type InformerOptions,
  type InformerSource,
  type InformerStats,
  type InformerSubscription,
  isInformerEvent,
  printedStats,
  type ReadyOptions,
} from './informer-options.js'
import { PersistedState } from './persisted-state.js'
import { Probe } from './probe.js'
import { type Gap, isRewind, type ReflectedWatch, Reflector } from './reflector.js'
import { RevisionWaiters } from './revision-waiters.js'
import type { InformerSnapshot } from './snapshot.js'
import { Store } from './store.js'

const defaultMaxQueuedChanges = 1000
const defaultWaitMs = 10_000
const freshWaitMs = 3000 // then `getFresh()` reads from the cluster

/**
 * An in-memory copy of a range of keys that follows the cluster: listed at one revision, then kept up to date by a watch.
 *
 * - Reads are served from memory. They show the range as of one revision, `revision`.
 * - Changes are applied in order, whole revisions at a time, before any handler receives them. None is missed while etcd has the
 *   history; otherwise a listing closes the gap, and handlers receive the differences with the source `resync`.
 * - Each handler receives one change at a time from its own queue. One that throws, hangs or is slow does not affect others.
 * - It only ends on `close()` or a permanent error such as `PERMISSION_DENIED`.
 */
export class Informer<T, Name extends string = never> implements AsyncDisposable {
  static {
    printAs(this, (informer) => printedStats(informer.#range, informer.stats()))
  }
  readonly #source: InformerSource
  readonly #range: KeyRange
  readonly #store: Store<T, Name>
  readonly #reflector: Reflector
  readonly #events = new Emitter<InformerEvents>()
  readonly #handlers: Handlers<T>
  readonly #waiters = new RevisionWaiters(
    () => this.#watcher?.requestProgress(),
    () => void this.#runProbe(),
    () => this.#hindrance,
  )
  readonly #probe: Probe
  /** @internal Whether reads show a recent state of the cluster. */
  readonly freshness = new Freshness(() => this.#watcher)
  readonly #ready: Promise<number>
  readonly #persisted: PersistedState<T>
  #settleReady: { resolve(revision: number): void; reject(error: unknown): void } | undefined
  #isListed = false
  #failure: unknown
  readonly #endListeners = new Set<() => void>()

  /** @internal Created by `informer()`. `closing` aborts when the client closes. */
  constructor(source: InformerSource, range: KeyRange, options: InformerOptions<T, Name>, closing?: AbortSignal) {
    const { indexes, filter, transform, maxPageSize } = options
    this.#source = source
    this.#range = range
    // Without a codec, values are text, and T is string. What a codec decodes, it can encode again.
    const codec = (options.codec ?? text) as Codec<T>
    this.#store = new Store<T, Name>({
      codec,
      filter,
      transform,
      indexes: indexes ?? ({} as Indexes<T, Name>),
      onInvalid: (invalid) => this.#events.emit('invalid', invalid),
    })
    this.#handlers = new Handlers<T>(
      { handlerFailed: (error) => this.#events.emit('handlerError', { error }) },
      options.maxQueuedChanges ?? defaultMaxQueuedChanges,
    )
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject }
    })
    // Callers that do not await it learn about a failure from the event.
    this.#ready.catch(() => {})
    this.#probe = new Probe(source, range, () => ({
      revision: this.revision,
      keyCount: this.#store.keyCount,
      isCurrent: this.isCurrent,
    }))
    const retrying = (error: unknown): void => this.#events.emit('error', { error, terminal: false })
    this.#reflector = new Reflector(
      {
        pages: (pages) => source.list(range, { maxPageSize, onCompacted: 'restart', ...pages }).pages(),
        watch: (watch) => source.watch(range, { progress: true, ...watch }),
        cluster: source.cluster,
      },
      {
        draft: (isSameHistory) => this.#store.draft(isSameHistory && !this.isStale),
        listed: (revision, gap) => this.#listed(revision, gap),
        apply: (batch) => this.#apply(batch),
        retrying: retrying,
        failed: (error) => this.#fail(error),
      },
      closing,
    )
    this.#persisted = new PersistedState<T>(options.persist, source, this.#store, codec, retrying)
    this.#persisted.load()
    this.#reflector.start()
  }

  /**
   * Waits, by default indefinitely, for the first listing; with `allowStale`, also for a state loaded from disk.
   * @returns The revision of the informer.
   * @throws The error of an informer that failed, `CLOSED`, or `DEADLINE_EXCEEDED` after `timeoutMs`.
   */
  async ready(options: ReadyOptions = {}): Promise<number> {
    checkReadyOptions(options)
    if (options.allowStale === true && this.isStale) return this.revision
    return waitWithin(this.#ready, options, () =>
      notInTime('the first listing was not complete in time', this.#hindrance),
    )
  }

  /** Returns the value of a key; `undefined` if the key does not exist or was never decodable. */
  get(key: Bytes): T | undefined {
    return this.#store.get(key)?.value
  }

  /** Returns the entry of a key: its value and metadata. */
  entry(key: Bytes): Entry<T> | undefined {
    return this.#store.get(key)
  }

  /** Whether the copy contains a key. */
  has(key: Bytes): boolean {
    return this.#store.get(key) !== undefined
  }

  /** Returns all entries, in key order. */
  list(): Entry<T>[] {
    return this.#store.snapshot.list()
  }

  /** Returns the entries from `from` (included) to `to` (excluded), in key order. */
  range(from: Bytes, to?: Bytes): Entry<T>[] {
    return this.#store.snapshot.range(from, to)
  }

  /** Returns the entries that an index lists under a term. */
  by(index: Name, term: string): Entry<T>[] {
    return this.#store.find(index, term)
  }

  /** Returns all terms of an index. */
  terms(index: Name): string[] {
    return this.#store.terms(index)
  }

  /** Returns an immutable snapshot of the current revision. */
  snapshot(): InformerSnapshot<T> {
    return this.#store.snapshot
  }

  /** Returns the values that could not be decoded. Such a key keeps its last valid value, if it had one. */
  invalid(): readonly InvalidEntry[] {
    return this.#store.invalid
  }

  /** The number of keys in the copy. */
  get size(): number {
    return this.#store.snapshot.size
  }

  /** The revision that all reads show. */
  get revision(): number {
    return this.#store.snapshot.revision
  }

  /** Whether reads still show a state loaded from disk. */
  get isStale(): boolean {
    return this.#persisted.isShown
  }

  /** Counters and the state of the copy, for metrics. */
  stats(): InformerStats {
    return {
      state: this.#reflector.state.kind,
      endpoint: this.#watcher?.status.endpoint,
      size: this.size,
      revision: this.revision,
      invalid: this.#store.invalid.length,
      resyncs: this.#reflector.resyncs,
      reconnects: this.#watcher?.status.reconnects ?? 0,
      handlers: this.#handlers.stats,
    }
  }

  /**
   * Waits until reads show `revision` or a later one, for example the revision of a write.
   * @throws `DEADLINE_EXCEEDED` after `timeoutMs`, 10 s by default.
   */
  async waitForRevision(revision: number, options: CallOptions = {}): Promise<void> {
    nonNegativeInteger('revision', revision)
    checkCall('waitForRevision()', options)
    const { signal, timeoutMs = defaultWaitMs } = options
    this.#throwIfOver()
    if (this.revision < revision || !this.isCurrent) await this.#waiters.wait(revision, timeoutMs, signal)
  }

  /**
   * Returns the value of a key, including every write acknowledged before the call: waits until the informer has
   * reached the cluster's current revision, or reads from the cluster if that takes more than 3 s.
   */
  async getFresh(key: Bytes, options: CallOptions = {}): Promise<T | undefined> {
    checkCall('getFresh()', options)
    const read = { ...options, limit: 1, mode: 'linearizable' } as const
    const own = ownBytes('key', key)
    const { kvs, revision } = await this.#source.range(own, read)
    const timeoutMs = Math.min(freshWaitMs, options.timeoutMs ?? freshWaitMs)
    try {
      await this.waitForRevision(revision, { ...options, timeoutMs })
      return this.get(own)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!(error instanceof EtcdError) || error.code !== 'DEADLINE_EXCEEDED') throw error
      return kvs[0] && this.#store.read(kvs[0])?.value
    }
  }

  /** Delivers every change to `handler`: first all existing keys, as `add` with `initial: true`, then each change. */
  subscribe(handler: ChangeHandler<T>): InformerSubscription {
    assertFunction('handler', handler)
    return this.#subscribe(handler)
  }

  /**
   * Adds a listener for changes of one type (`change` for all), starting with the existing keys, or for an event of the
   * informer as a whole. Returns a function that removes the listener.
   */
  on<Type extends 'add' | 'update' | 'delete' | 'change'>(
    event: Type,
    listener: (change: ChangeOfType<T, Type>) => unknown,
  ): () => void
  on<Event extends keyof InformerEvents>(event: Event, listener: (payload: InformerEvents[Event]) => void): () => void
  on(event: string, listener: (payload: never) => unknown): () => void {
    assertFunction('handler', listener)
    if (isInformerEvent(event)) return this.#events.on(event, listener as (payload: object) => void)
    const handler = listener as ChangeHandler<T>
    const wanted: ChangeHandler<T> = (change) => (change.type === event ? handler(change) : undefined)
    const subscription = this.#subscribe(event === 'change' ? handler : wanted)
    return () => subscription.close()
  }

  /**
   * Returns the changes as an async iterable: from all existing keys (`initial`), from now, or from an earlier
   * revision, starting with the differences since then. A consumer that falls far behind receives differences instead
   * of each change. `close()` ends the iteration.
   * @throws The error of an informer that failed, or `COMPACTED` if the earlier revision is no longer available.
   */
  events(options: EventsOptions = {}): AsyncIterableIterator<Change<T>, undefined> {
    checkEventsOptions(options)
    const { from = 'initial', signal } = options
    this.#throwIfOver()
    return this.#handlers.stream(async (stream, over) => {
      const known = typeof from === 'number' ? this.#handlers.known(from) : undefined
      const start = from === 'initial' ? undefined : await this.#startOf(from, over)
      return this.#subscribe((change) => stream.give(change), start, known)
    }, signal)
  }

  /** Stops following the cluster: handlers receive nothing more, iterations end, reads return the last state. */
  async close(): Promise<void> {
    this.#reflector.close()
    this.#end(new EtcdError('the informer is closed', { code: 'CLOSED', effect: 'none' }), false)
    await this.#persisted.close()
  }

  /** Same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal Whether reads show the current history of the cluster. */
  get isCurrent(): boolean {
    return this.#isListed && !this.#reflector.isOutdated
  }

  /** @internal Calls `listener` when the informer is closed or has failed. */
  onEnd(listener: () => void): void {
    if (this.#failure === undefined) this.#endListeners.add(listener)
    else listener()
  }

  /** Why there are no new events. */
  get #hindrance(): unknown {
    const { state, lastError } = this.#reflector
    return this.#source.obstacle?.() ?? (state.kind === 'watching' ? undefined : lastError)
  }

  get #watcher(): ReflectedWatch | undefined {
    const { state } = this.#reflector
    return state.kind === 'watching' ? state.watcher : undefined
  }

  #subscribe(handler: ChangeHandler<T>, from?: InformerSnapshot<T>, known?: Known): InformerSubscription {
    this.#throwIfOver()
    const now = this.#isListed || this.isStale ? this.#store.snapshot : undefined
    return this.#handlers.subscribe(handler, { from, now, known })
  }

  /** The range as of a revision, or now. */
  async #startOf(from: 'now' | number, signal: AbortSignal): Promise<InformerSnapshot<T>> {
    await this.ready({ signal })
    if (from === 'now' || from >= this.revision) return this.#store.snapshot
    const history = this.#store.history()
    // Revision 0 precedes everything; in a list request it would mean the current one.
    const pages = from === 0 ? [] : this.#source.list(this.#range, { revision: from, signal }).pages()
    for await (const { kvs } of pages) for (const kv of kvs) history.add(kv)
    return history.snapshot(from)
  }

  #listed(revision: number, reflected: Gap | undefined): void {
    const source: ChangeSource = this.#isListed || this.isStale ? 'resync' : 'list'
    const gap = this.#persisted.listed(revision) ?? reflected
    const isFirst = !this.#isListed
    this.#isListed = true
    this.#handlers.replace(this.#store.snapshot, source, !isRewind(gap))
    this.#waiters.advanced(revision)
    if (isFirst) {
      this.#settleReady?.resolve(revision)
      this.#events.emit('ready', { revision, size: this.size })
    }
    if (gap === undefined) return
    const { code: reason, fromRevision, compactRevision } = gap
    this.#events.emit('resync', { reason, fromRevision, compactRevision, toRevision: revision })
  }

  #apply(batch: WatchBatch): void {
    // The probe has shown that nothing differs: the key was created and deleted in between.
    if (batch.revision <= this.revision) return
    if (batch.events.length === 0) this.#store.progress(batch.revision)
    else {
      const changes = this.#store.apply(batch)
      this.#handlers.push(changes, this.#store.snapshot)
      if (changes.length > 0) this.#persisted.save()
    }
    this.#advanced(batch.revision)
  }

  #advanced(revision: number): void {
    if (this.isCurrent) this.#waiters.advanced(revision)
  }

  async #runProbe(): Promise<void> {
    const revision = await this.#probe.run()
    if (revision !== undefined && this.#watcher !== undefined) this.#progress(revision)
  }

  #progress(revision: number): void {
    this.#store.progress(revision)
    this.#reflector.progress(revision)
    this.#advanced(revision)
  }

  #fail(error: unknown): void {
    this.#events.emit('error', { error, terminal: true })
    this.#end(error, true)
  }

  #end(reason: unknown, isFailure: boolean): void {
    if (this.#failure !== undefined) return
    this.#failure = reason
    this.#settleReady?.reject(reason)
    this.#waiters.fail(reason)
    this.#handlers.end(reason, isFailure)
    void this.#persisted.close()
    for (const listener of this.#endListeners) listener()
    this.#endListeners.clear()
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
