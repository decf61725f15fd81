import type { Subscriber } from './server-watch.js'
import type { WatchBatch } from './watch-event.js'

/** Where a watch stands. */
export type WatchState = 'connecting' | 'active' | 'reconnecting' | 'ended'

/** What a queue tells the place that fills it. */
export interface WatchQueueHost {
  /** There is room again. */
  drained(queue: WatchQueue): void
}

interface Waiter {
  readonly resolve: (batch: WatchBatch | undefined) => void
  readonly reject: (reason: unknown) => void
}

/** How a queue ended: by its consumer, or with an error that the consumer is told after what is buffered. */
type Ending = { readonly kind: 'closed' } | { readonly kind: 'failed'; readonly error: unknown }

/** Batches between the stream and one consumer. It asks for no more while `bufferLimit` events are waiting. */
export class WatchQueue implements Subscriber {
  readonly #host: WatchQueueHost
  readonly #bufferLimit: number
  readonly #wantsProgress: boolean
  readonly #map: (batch: WatchBatch) => WatchBatch
  readonly #batches: WatchBatch[] = []
  readonly #ready: { readonly promise: Promise<number>; resolve(revision: number): void; reject(error: unknown): void }
  #head = 0
  #next = 0
  #taken = 0
  #buffered = 0
  #wasFull = false
  #state: WatchState = 'connecting'
  #endpoint: string | undefined
  #reconnects = 0
  #waiter: Waiter | undefined
  #ending: Ending | undefined

  constructor(
    host: WatchQueueHost,
    options: { readonly bufferLimit: number; readonly progress: boolean; map(batch: WatchBatch): WatchBatch },
  ) {
    this.#host = host
    this.#bufferLimit = options.bufferLimit
    this.#wantsProgress = options.progress
    this.#map = options.map
    this.#ready = deferred()
    // Who does not ask whether it is ready is told by the iteration.
    this.#ready.promise.catch(() => {})
  }

  get next(): number {
    return this.#next
  }

  get isFull(): boolean {
    return this.#buffered >= this.#bufferLimit
  }

  get ready(): Promise<number> {
    return this.#ready.promise
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

  /** Everything up to this revision has been taken by the consumer. */
  get revision(): number {
    return this.#buffered === 0 ? Math.max(this.#taken, this.#next - 1) : this.#taken
  }

  /** By how many revisions the consumer is behind what has arrived. */
  get lag(): number {
    return Math.max(0, this.#next - 1 - this.revision)
  }

  /** The next batch; `undefined` after `close()`. Rejects, once, with what ended the watch. */
  take(): Promise<WatchBatch | undefined> {
    const batch = this.takeNow()
    if (batch !== undefined) return Promise.resolve(batch)
    if (this.#ending === undefined) {
      return new Promise((resolve, reject) => {
        this.#waiter = { resolve, reject }
      })
    }
    if (this.#ending.kind === 'closed') return Promise.resolve(undefined)
    const { error } = this.#ending
    this.#ending = { kind: 'closed' }
    return Promise.reject(error)
  }

  /** The next batch, if there is one. */
  takeNow(): WatchBatch | undefined {
    const batch = this.#batches[this.#head]
    if (batch === undefined) return undefined
    this.#head += 1
    if (this.#head === this.#batches.length) {
      this.#batches.length = 0
      this.#head = 0
    }
    this.#buffered -= batch.events.length
    this.#taken = batch.revision
    if (this.#wasFull && this.#buffered <= this.#bufferLimit / 2) {
      this.#wasFull = false
      this.#host.drained(this)
    }
    return batch
  }

  /** Ends it from the consumer's side and drops what is buffered. */
  close(): void {
    if (this.#ending?.kind === 'closed') return
    this.#ending = { kind: 'closed' }
    this.#state = 'ended'
    this.#batches.length = 0
    this.#head = 0
    this.#buffered = 0
    this.#waiter?.resolve(undefined)
    this.#waiter = undefined
  }

  join(next: number): void {
    this.#next = next
  }

  onCreated(revision: number, endpoint: string): void {
    this.#state = 'active'
    this.#endpoint = endpoint
    if (this.#next === 0) this.#next = revision + 1
    this.#ready.resolve(this.#next - 1)
  }

  onBatch(batch: WatchBatch): void {
    this.#next = batch.revision + 1
    this.#push(this.#map(batch))
    if (this.isFull) this.#wasFull = true
  }

  onProgress(revision: number): void {
    this.#next = revision + 1
    if (this.#wantsProgress) this.#push({ revision, events: [] })
  }

  onLost(_error: unknown): void {
    if (this.#state === 'active') this.#reconnects += 1
    this.#state = this.#reconnects === 0 ? 'connecting' : 'reconnecting'
    this.#endpoint = undefined
  }

  onEnd(error: unknown): void {
    if (this.#ending !== undefined) return
    this.#state = 'ended'
    this.#ready.reject(error)
    const waiter = this.#waiter
    this.#waiter = undefined
    this.#ending = waiter === undefined ? { kind: 'failed', error } : { kind: 'closed' }
    waiter?.reject(error)
  }

  #push(batch: WatchBatch): void {
    const waiter = this.#waiter
    if (waiter !== undefined) {
      this.#waiter = undefined
      this.#taken = batch.revision
      waiter.resolve(batch)
      return
    }
    this.#batches.push(batch)
    this.#buffered += batch.events.length
  }
}

function deferred(): {
  readonly promise: Promise<number>
  resolve(revision: number): void
  reject(error: unknown): void
} {
  let settle: { resolve(revision: number): void; reject(error: unknown): void } | undefined
  const promise = new Promise<number>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, resolve: (revision) => settle?.resolve(revision), reject: (error) => settle?.reject(error) }
}
