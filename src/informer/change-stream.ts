import type { Change } from './change.js'

interface Offer<T> {
  readonly change: Change<T>
  readonly taken: () => void
}

type Result<T> = IteratorResult<Change<T>, undefined>

interface Waiter<T> {
  resolve(result: Result<T>): void
  reject(reason: unknown): void
}

/**
 * Changes as an async iterator. It holds one change at a time: the producer waits until the consumer takes it, so the
 * backlog of a slow consumer stays in the bounded queue of its handler.
 */
export class ChangeStream<T> implements AsyncIterableIterator<Change<T>, undefined> {
  readonly #onEnd: () => void
  readonly #signal: AbortSignal | undefined
  readonly #waiters: Waiter<T>[] = []
  #offer: Offer<T> | undefined
  /** Resolves the producer's promise when the consumer asks for the next change. */
  #taken: (() => void) | undefined
  #isOver = false
  /** What the next `next()` rejects with. */
  #failure: { readonly reason: unknown } | undefined

  /** `onEnd` is called once, never before this constructor has returned. */
  constructor(onEnd: () => void, signal: AbortSignal | undefined) {
    this.#onEnd = onEnd
    this.#signal = signal
    if (signal?.aborted === true) queueMicrotask(this.#onAbort)
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Resolves when the consumer asks for the change after this one. */
  give(change: Change<T>): Promise<void> | undefined {
    if (this.#isOver) return undefined
    return new Promise((taken) => {
      const waiter = this.#waiters.shift()
      if (waiter === undefined) {
        this.#offer = { change, taken }
        return
      }
      waiter.resolve({ value: change, done: false })
      if (this.#waiters.length > 0) taken()
      else this.#taken = taken
    })
  }

  /** Ends the iteration. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ value: undefined, done: true })
    this.#taken?.()
    this.#offer?.taken()
    this.#taken = undefined
    this.#offer = undefined
    this.#onEnd()
  }

  /** Ends the iteration with an error. */
  fail(reason: unknown): void {
    if (this.#isOver) return
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#failure = { reason }
    else waiter.reject(reason)
    this.end()
  }

  async next(): Promise<Result<T>> {
    this.#taken?.()
    this.#taken = undefined
    const offer = this.#offer
    this.#offer = undefined
    if (offer !== undefined) {
      this.#taken = offer.taken
      return { value: offer.change, done: false }
    }
    if (this.#failure !== undefined) {
      const { reason } = this.#failure
      this.#failure = undefined
      throw reason
    }
    if (this.#isOver) return { value: undefined, done: true }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
  }

  async return(): Promise<Result<T>> {
    this.end()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly #onAbort = (): void => this.fail(this.#signal?.reason)
}
