import type { Change } from './change.js'

interface Offer<T> {
  readonly change: Change<T>
  readonly taken: () => void
}

/**
 * Changes as an async iterator. It holds one at a time: who gives the next one waits until it was taken, so that what a slow
 * consumer leaves waits where it is bounded.
 */
export class ChangeStream<T> implements AsyncIterableIterator<Change<T>, undefined> {
  readonly #onClose: () => void
  readonly #signal: AbortSignal | undefined
  #offer: Offer<T> | undefined
  #waiter: { resolve(result: IteratorResult<Change<T>, undefined>): void; reject(reason: unknown): void } | undefined
  #isOver = false
  #taken: (() => void) | undefined

  constructor(onClose: () => void, signal: AbortSignal | undefined) {
    this.#onClose = onClose
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Resolves when the consumer asks for what comes after this change. */
  give(change: Change<T>): Promise<void> | undefined {
    if (this.#isOver) return undefined
    return new Promise((taken) => {
      const waiter = this.#waiter
      this.#waiter = undefined
      if (waiter === undefined) {
        this.#offer = { change, taken }
        return
      }
      this.#taken = taken
      waiter.resolve({ value: change, done: false })
    })
  }

  /** Nothing more comes. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#waiter?.resolve({ value: undefined, done: true })
    this.#release()
    this.#onClose()
  }

  async next(): Promise<IteratorResult<Change<T>, undefined>> {
    this.#signal?.throwIfAborted()
    this.#taken?.()
    this.#taken = undefined
    const offer = this.#offer
    if (offer !== undefined) {
      this.#offer = undefined
      this.#taken = offer.taken
      return { value: offer.change, done: false }
    }
    if (this.#isOver) return { value: undefined, done: true }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }

  async return(): Promise<IteratorResult<Change<T>, undefined>> {
    this.end()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly #onAbort = (): void => {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.reject(this.#signal?.reason)
    this.end()
  }

  #release(): void {
    this.#taken?.()
    this.#offer?.taken()
    this.#taken = undefined
    this.#offer = undefined
    this.#waiter = undefined
  }
}
