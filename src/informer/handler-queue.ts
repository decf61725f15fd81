import { type Change, type ChangeSource, changesBetween } from './change.js'
import { InformerSnapshot } from './snapshot.js'

/** Called for each change, in order. Where it returns a promise, the next change waits for it. */
export type ChangeHandler<T> = (change: Change<T>) => unknown

/** What a queue needs from its informer. */
export interface HandlerQueueHost {
  /** The handler threw, or its promise rejected. */
  handlerFailed(error: unknown): void
}

/** What a handler is to be told: the changes of one revision, or all that leads to a snapshot. */
type Item<T> =
  | { readonly kind: 'changes'; readonly changes: readonly Change<T>[]; readonly to: InformerSnapshot<T> }
  | { readonly kind: 'difference'; readonly to: InformerSnapshot<T>; readonly cause: ChangeSource }

/** Changes handled in a row before other work of the process gets its turn. */
const turnLength = 500

/**
 * The changes that wait for one handler. It always knows the snapshot that the handler has been told of: one that falls
 * too far behind is told, when it comes back, what leads from there to the present, each key once.
 */
export class HandlerQueue<T> {
  readonly #host: HandlerQueueHost
  readonly #handler: ChangeHandler<T>
  readonly #limit: number
  readonly #onCaughtUp: () => void
  #items: Item<T>[] = []
  #queued = 0
  #seen: InformerSnapshot<T>
  /** What the handler knows may be later than `#seen`: up to here nothing is news, until that has come to it. */
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
      /** What the handler knows already; without it, it is told everything there is, as `initial`. */
      readonly from?: InformerSnapshot<T> | undefined
      /** It knows all changes up to this revision. */
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

  /** Changes that wait; one for a difference that is not worked out yet. */
  get queued(): number {
    return this.#queued
  }

  /** How often the handler fell too far behind. */
  get overflows(): number {
    return this.#overflows
  }

  /** Tells the handler what happened at one revision. */
  push(changes: readonly Change<T>[], to: InformerSnapshot<T>): void {
    if (changes.length === 0 || this.#isClosed) return
    const [head] = this.#items
    if (head !== undefined && this.#queued + changes.length > this.#limit) {
      this.#overflows += 1
      this.#enqueue([{ kind: 'difference', to, cause: 'resync' }], 1)
      return
    }
    this.#items.push({ kind: 'changes', changes, to })
    this.#enqueue(this.#items, this.#queued + changes.length)
  }

  /** Tells the handler all that leads to `to`, in place of what waits. */
  replace(to: InformerSnapshot<T>, cause: ChangeSource): void {
    if (!this.#isClosed) this.#enqueue([{ kind: 'difference', to, cause }], 1)
  }

  /** The cluster is another one, or an older one: what the handler knows says nothing of its revisions. */
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
        await this.#tell(change)
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
    return changesBetween(from, this.#seen, this.#isFirst ? 'list' : item.cause, this.#isFirst)
  }

  async #tell(change: Change<T>): Promise<void> {
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
