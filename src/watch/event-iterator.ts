import type { WatchBatch, WatchEvent } from './watch-event.js'

/** A source of batches. */
export interface BatchSource {
  /** The next batch, if one is buffered. */
  takeNow(): WatchBatch | undefined
  /** The next batch; `undefined` at the end. */
  take(): Promise<WatchBatch | undefined>
  /** The consumer has received all events of a batch that was taken. */
  delivered(batch: WatchBatch): void
}

type Result = IteratorResult<WatchEvent, undefined>

/** Iterates over the events of batches. Concurrent calls of `next()` are served in order. */
export class EventIterator implements AsyncIterator<WatchEvent, undefined> {
  readonly #source: BatchSource
  readonly #close: () => Promise<void>
  #batch: WatchBatch | undefined
  #index = 0
  /** How many calls wait for a batch or for the call before them, and the last of them. */
  #waiting = 0
  #last: Promise<Result> | undefined

  constructor(source: BatchSource, close: () => Promise<void>) {
    this.#source = source
    this.#close = close
  }

  next(): Promise<Result> {
    const value = this.#waiting === 0 ? this.#nextNow() : undefined
    if (value !== undefined) return Promise.resolve({ value, done: false })
    const call = this.#wait(this.#waiting === 0 ? undefined : this.#last)
    this.#last = call
    return call
  }

  async return(): Promise<Result> {
    await this.#close()
    return { value: undefined, done: true }
  }

  async #wait(before: Promise<unknown> | undefined): Promise<Result> {
    this.#waiting += 1
    try {
      await before?.catch(() => {})
      for (;;) {
        const value = this.#nextNow()
        if (value !== undefined) return { value, done: false }
        const batch = await this.#source.take()
        if (batch === undefined) return { value: undefined, done: true }
        this.#begin(batch)
      }
    } finally {
      this.#waiting -= 1
    }
  }

  #nextNow(): WatchEvent | undefined {
    for (;;) {
      const event = this.#take()
      if (event !== undefined) return event
      const batch = this.#source.takeNow()
      if (batch === undefined) return undefined
      this.#begin(batch)
    }
  }

  #begin(batch: WatchBatch): void {
    this.#batch = batch
    this.#index = 0
    if (batch.events.length === 0) this.#finish(batch)
  }

  /** The next event of the current batch. With its last event the batch counts as delivered. */
  #take(): WatchEvent | undefined {
    const batch = this.#batch
    const event = batch?.events[this.#index]
    if (batch === undefined || event === undefined) return undefined
    this.#index += 1
    if (this.#index === batch.events.length) this.#finish(batch)
    return event
  }

  #finish(batch: WatchBatch): void {
    this.#batch = undefined
    this.#source.delivered(batch)
  }
}
