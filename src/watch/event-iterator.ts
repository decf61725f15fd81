import type { WatchBatch, WatchEvent } from './watch-event.js'

/** Where batches come from. */
export interface BatchSource {
  /** The next batch, if there is one now. */
  takeNow(): WatchBatch | undefined
  /** The next batch; `undefined` at the end. */
  take(): Promise<WatchBatch | undefined>
}

type Result = IteratorResult<WatchEvent, undefined>

/** The events of batches, one by one. Calls of `next()` that do not wait for each other are served in order. */
export class EventIterator implements AsyncIterator<WatchEvent, undefined> {
  readonly #source: BatchSource
  readonly #close: () => Promise<void>
  #events: readonly WatchEvent[] = []
  #index = 0
  /** The call that waits for a batch, and those behind it. */
  #waiting: Promise<unknown> | undefined

  constructor(source: BatchSource, close: () => Promise<void>) {
    this.#source = source
    this.#close = close
  }

  next(): Promise<Result> {
    if (this.#waiting !== undefined) return this.#behind(this.#waiting)
    const value = this.#nextNow()
    return value === undefined ? this.#behind(undefined) : Promise.resolve({ value, done: false })
  }

  async return(): Promise<Result> {
    await this.#close()
    return { value: undefined, done: true }
  }

  #behind(before: Promise<unknown> | undefined): Promise<Result> {
    const result = this.#wait(before)
    const waiting = result
      .catch(() => {})
      .then(() => {
        if (this.#waiting === waiting) this.#waiting = undefined
      })
    this.#waiting = waiting
    return result
  }

  async #wait(before: Promise<unknown> | undefined): Promise<Result> {
    if (before !== undefined) await before
    for (;;) {
      const value = this.#nextNow()
      if (value !== undefined) return { value, done: false }
      const batch = await this.#source.take()
      if (batch === undefined) return { value: undefined, done: true }
      this.#events = batch.events
      this.#index = 0
    }
  }

  #nextNow(): WatchEvent | undefined {
    for (;;) {
      const event = this.#events[this.#index]
      if (event !== undefined) {
        this.#index += 1
        return event
      }
      const batch = this.#source.takeNow()
      if (batch === undefined) return undefined
      this.#events = batch.events
      this.#index = 0
    }
  }
}
