import { EtcdError } from '../core/errors.js'
import { Deferred } from '../core/waiter.js'
import type { Subscriber } from './server-watch.js'
import type { WatchBatch } from './watch-event.js'

/**
 * The state of a watch:
 *
 * - `connecting`: no member has confirmed it yet;
 * - `active`: it is on a member;
 * - `reconnecting`: its stream was lost, and it resumes on another one;
 * - `ended`: it was closed, or has failed.
 */
export type WatchState = 'connecting' | 'active' | 'reconnecting' | 'ended'

/** What a queue needs from its source. */
export interface WatchQueueHost {
  /** The buffer, which was full, has room again. */
  drained(queue: WatchQueue): void
}

/** How a queue works. */
export interface WatchQueueOptions {
  readonly maxBufferedEvents: number
  readonly progress: boolean
  map(batch: WatchBatch): WatchBatch
  /** The watch has ended; `error` is what its consumer receives. */
  onEnded?(error?: unknown): void
}

/** How a queue ended: closed by its consumer, or failed with an error that the consumer receives after the buffered events. */
type Ending = { readonly kind: 'closed' } | { readonly kind: 'failed'; readonly error: unknown }

/** Bounds memory for large values, whatever the number of events. */
export const bufferBytesLimit = 64 * 1024 * 1024

/** Buffers batches between the stream and one consumer. It is full when `maxBufferedEvents` events are buffered. */
export class WatchQueue implements Subscriber {
  readonly #host: WatchQueueHost
  readonly #options: WatchQueueOptions
  readonly #batches: WatchBatch[] = []
  readonly #ready = new Deferred<number>()
  readonly #waiters: Deferred<WatchBatch | undefined>[] = []
  #head = 0
  #next = 0
  /** The consumer has received all events up to this revision. */
  #deliveredRevision = 0
  /** Batches that were taken and whose events were not all delivered yet. */
  #inDelivery = 0
  /** Whether `close()` has dropped undelivered events. */
  #hasDropped = false
  #buffered = 0
  #bufferedBytes = 0
  #wasFull = false
  #state: WatchState = 'connecting'
  #lastError: unknown
  #endpoint: string | undefined
  #reconnects = 0
  #ending: Ending | undefined

  constructor(host: WatchQueueHost, options: WatchQueueOptions) {
    this.#host = host
    this.#options = options
    // Without a caller of `ready()`, the iteration throws the error.
    this.#ready.promise.catch(() => {})
  }

  get next(): number {
    return this.#next
  }

  get isFull(): boolean {
    return this.#isOver(1)
  }

  get ready(): Promise<number> {
    return this.#ready.promise
  }

  /** Why a stream was last lost. */
  get lastError(): unknown {
    return this.#lastError
  }

  get state(): WatchState {
    return this.#state
  }

  get endpoint(): string | undefined {
    return this.#endpoint
  }

  get reconnects(): number {
    return this.#reconnects
  }

  get buffered(): number {
    return this.#buffered
  }

  /** The consumer has received everything up to this revision. */
  get revision(): number {
    const isBehind = this.#buffered > 0 || this.#inDelivery > 0 || this.#hasDropped
    return isBehind ? this.#deliveredRevision : Math.max(this.#deliveredRevision, this.#next - 1)
  }

  /** How many revisions the consumer is behind. */
  get lag(): number {
    return Math.max(0, this.#next - 1 - this.revision)
  }

  /** The next batch; `undefined` after `close()`. Rejects once with the error that ended the watch. The caller calls `delivered`. */
  take(): Promise<WatchBatch | undefined> {
    const batch = this.takeNow()
    if (batch !== undefined) return Promise.resolve(batch)
    if (this.#ending === undefined) return this.#wait()
    if (this.#ending.kind === 'closed') return Promise.resolve(undefined)
    const { error } = this.#ending
    this.#ending = { kind: 'closed' }
    return Promise.reject(error)
  }

  /** The next batch, if one is buffered. */
  takeNow(): WatchBatch | undefined {
    const batch = this.#batches[this.#head]
    if (batch === undefined) return undefined
    this.#head += 1
    // Releases taken batches also in a queue that never becomes empty; each batch is moved once or twice for that.
    if (this.#head * 2 >= this.#batches.length) {
      this.#batches.splice(0, this.#head)
      this.#head = 0
    }
    this.#buffered -= batch.events.length
    this.#bufferedBytes -= bytesOf(batch)
    this.#inDelivery += 1
    if (this.#wasFull && !this.#isOver(0.5)) {
      this.#wasFull = false
      this.#host.drained(this)
    }
    return batch
  }

  delivered({ revision }: WatchBatch): void {
    this.#inDelivery -= 1
    this.#deliveredRevision = Math.max(this.#deliveredRevision, revision)
  }

  /** Closes the watch for the consumer and drops buffered events. */
  close(): void {
    if (this.#ending?.kind === 'closed') return
    const hasFailed = this.#ending !== undefined
    this.#ending = { kind: 'closed' }
    this.#state = 'ended'
    this.#endpoint = undefined
    this.#hasDropped = this.#buffered > 0
    this.#batches.length = 0
    this.#head = 0
    this.#buffered = 0
    this.#bufferedBytes = 0
    this.#ready.reject(new EtcdError('the watch is closed', { code: 'CLOSED', effect: 'none' }))
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(undefined)
    if (!hasFailed) this.#options.onEnded?.()
  }

  /** Delivery starts at `next`. After a resync, the consumer may not have received the listing yet. */
  join(next: number): void {
    if (this.#next === 0) this.#deliveredRevision = Math.max(this.#deliveredRevision, next - 1)
    this.#next = next
  }

  onCreated(revision: number, endpoint: string): void {
    this.#state = 'active'
    this.#endpoint = endpoint
    if (this.#next === 0) this.join(revision + 1)
    this.#ready.resolve(this.#next - 1)
  }

  onBatch(batch: WatchBatch): void {
    this.push(this.#options.map(batch))
  }

  onProgress(revision: number): void {
    this.#next = revision + 1
    if (!this.#options.progress) return
    this.#dropProgress()
    this.push({ revision, events: [] })
  }

  onLost(error: unknown): void {
    this.#lastError = error
    if (this.#state === 'active') this.#reconnects += 1
    this.#state = this.#reconnects === 0 ? 'connecting' : 'reconnecting'
    this.#endpoint = undefined
  }

  onEnd(error: unknown): void {
    this.fail(error)
  }

  /** Ends the watch; the consumer receives the error after the buffered events. */
  fail(error: unknown): void {
    if (this.#ending !== undefined) return
    this.#state = 'ended'
    this.#endpoint = undefined
    this.#ready.reject(error)
    const [first, ...others] = this.#waiters.splice(0)
    this.#ending = first === undefined ? { kind: 'failed', error } : { kind: 'closed' }
    first?.reject(error)
    for (const waiter of others) waiter.resolve(undefined)
    this.#options.onEnded?.(error)
  }

  /** Adds a batch for the consumer. */
  protected push(batch: WatchBatch): void {
    this.#deliveredRevision = this.revision
    this.#next = batch.revision + 1
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      this.#inDelivery += 1
      waiter.resolve(batch)
      return
    }
    this.#batches.push(batch)
    this.#buffered += batch.events.length
    this.#bufferedBytes += bytesOf(batch)
    if (this.isFull) this.#wasFull = true
  }

  #wait(): Promise<WatchBatch | undefined> {
    const waiter = new Deferred<WatchBatch | undefined>()
    this.#waiters.push(waiter)
    return waiter.promise
  }

  /** Replaces an unread progress notification by the newer one. */
  #dropProgress(): void {
    const last = this.#batches.at(-1)
    if (last?.events.length === 0 && last.resync === undefined) this.#batches.pop()
  }

  #isOver(share: number): boolean {
    return this.#buffered >= this.#options.maxBufferedEvents * share || this.#bufferedBytes >= bufferBytesLimit * share
  }
}

/** The size of the events of a batch. */
export function bytesOf({ events }: WatchBatch): number {
  let bytes = 0
  for (const { kv, prevKv } of events) {
    bytes += kv.key.length + kv.value.length + (prevKv === undefined ? 0 : prevKv.value.length)
  }
  return bytes
}
