import { type Change, type ChangeSource, changesBetween } from './change.js'
import { InformerSnapshot } from './snapshot.js'

/** Called for each change, in order. If it returns a promise, the next change waits for it. */
export type ChangeHandler<T> = (change: Change<T>) => unknown

/** What a queue needs from its informer. */
export interface HandlerQueueHost {
  /** The handler threw, or its promise rejected. */
  handlerFailed(error: unknown): void
}

/** What is queued for a handler: the changes of one revision, or the difference up to a snapshot. */
type Item<T> =
  | { readonly kind: 'changes'; readonly changes: readonly Change<T>[]; readonly to: InformerSnapshot<T> }
  | { readonly kind: 'difference'; readonly to: InformerSnapshot<T>; readonly source: ChangeSource }

/** Number of changes handled before yielding to other work of the process. */
const turnLength = 500

/**
 * The queue of one handler. Invariant: it knows the snapshot up to which the handler has received changes. If the queue
 * overflows, the handler receives the difference between that snapshot and the current one, with one change per key.
 */
export class HandlerQueue<T> {
  readonly #host: HandlerQueueHost
  readonly #handler: ChangeHandler<T>
  readonly #limit: number
  readonly #onCaughtUp: () => void
  #items: Item<T>[] = []
  #queued = 0
  #seen: InformerSnapshot<T>
  /** The handler may know more than `#seen`: changes up to this revision are not news, until `#seen` has reached it. */
  #known: number | undefined
  #isFirst: boolean
  #isRunning = false
  #isClosed = false
  #overflows = 0

  constructor(
    host: HandlerQueueHost,
    handler: ChangeHandler<T>,
    options: {
      readonly limit: number
      readonly onCaughtUp: () => void
      /** What the handler already knows. Without it, the handler receives all existing keys as `initial`. */
      readonly from?: InformerSnapshot<T> | undefined
      /** The handler knows all changes up to this revision. */
      readonly known?: number | undefined
    },
  ) {
    this.#host = host
    this.#handler = handler
    this.#limit = options.limit
    this.#onCaughtUp = options.onCaughtUp
    this.#seen = options.from ?? InformerSnapshot.empty<T>()
    this.#known = options.known
    this.#isFirst = options.from === undefined
  }

  /** The number of queued changes; a difference that is not computed yet counts as one. */
  get queued(): number {
    return this.#queued
  }

  /** The number of overflows. */
  get overflows(): number {
    return this.#overflows
  }

  /** Queues the changes of one revision. */
  push(changes: readonly Change<T>[], to: InformerSnapshot<T>): void {
    if (changes.length === 0 || this.#isClosed) return
    const [head] = this.#items
    if (head !== undefined && this.#queued + changes.length > this.#limit) {
      this.#overflows += 1
      this.#enqueue([{ kind: 'difference', to, source: 'resync' }], 1)
      return
    }
    this.#items.push({ kind: 'changes', changes, to })
    this.#enqueue(this.#items, this.#queued + changes.length)
  }

  /** Replaces the queued changes by the difference up to `to`. */
  replace(to: InformerSnapshot<T>, source: ChangeSource): void {
    if (!this.#isClosed) this.#enqueue([{ kind: 'difference', to, source }], 1)
  }

  /** The history of the cluster changed, so what the handler knows does not apply to its revisions. */
  forgetKnown(): void {
    this.#known = undefined
  }

  close(): void {
    this.#isClosed = true
    this.#items = []
    this.#queued = 0
  }

  #enqueue(items: Item<T>[], queued: number): void {
    this.#items = items
    this.#queued = queued
    if (this.#isRunning) return
    this.#isRunning = true
    queueMicrotask(() => void this.#run())
  }

  async #run(): Promise<void> {
    let handled = 0
    for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
      const known = this.#known
      if (known !== undefined && item.to.revision >= known) this.#known = undefined
      for (const change of this.#changesOf(item)) {
        if (this.#isClosed) return
        if (known !== undefined && change.revision <= known) continue
        await this.#deliver(change)
        handled += 1
        if (handled % turnLength === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      if (this.#isFirst) this.#onCaughtUp()
      this.#isFirst = false
    }
    this.#isRunning = false
  }

  #changesOf(item: Item<T>): Iterable<Change<T>> {
    const from = this.#seen
    if (item.kind === 'changes') {
      this.#seen = item.to
      this.#queued = Math.max(0, this.#queued - item.changes.length)
      return item.changes
    }
    this.#seen = item.to
    this.#queued = Math.max(0, this.#queued - 1)
    return changesBetween(from, this.#seen, this.#isFirst ? 'list' : item.source, this.#isFirst)
  }

  async #deliver(change: Change<T>): Promise<void> {
    try {
      const result = this.#handler(change)
      if (isThenable(result)) await result
    } catch (error) {
      this.#host.handlerFailed(error)
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value
}
