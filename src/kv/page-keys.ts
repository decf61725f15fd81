import type { KeyValue } from '../core/key-value.js'

type Result = IteratorResult<KeyValue, undefined>

/**
 * The keys of pages, one by one. A key of the current page takes a single promise, where an asynchronous generator takes
 * several. Calls of `next()` that do not wait for each other are served in order.
 */
export class PageKeys implements AsyncIterableIterator<KeyValue, undefined> {
  readonly #pages: AsyncGenerator<{ readonly kvs: readonly KeyValue[] }, void, undefined>
  #kvs: readonly KeyValue[] = []
  #index = 0
  /** Calls that wait for a page or for the call before them, and the last of these. */
  #waiting = 0
  #last: Promise<Result> | undefined

  constructor(pages: AsyncGenerator<{ readonly kvs: readonly KeyValue[] }, void, undefined>) {
    this.#pages = pages
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Result> {
    const value = this.#waiting === 0 ? this.#take() : undefined
    if (value !== undefined) return Promise.resolve({ value, done: false })
    this.#last = this.#wait(this.#waiting === 0 ? undefined : this.#last)
    return this.#last
  }

  async return(): Promise<Result> {
    this.#kvs = []
    await this.#pages.return()
    // A page that a call of `next()` waited for has arrived meanwhile.
    this.#kvs = []
    return { value: undefined, done: true }
  }

  async #wait(before: Promise<unknown> | undefined): Promise<Result> {
    this.#waiting += 1
    try {
      await before?.catch(() => {})
      for (let value = this.#take(); ; value = this.#take()) {
        if (value !== undefined) return { value, done: false }
        const page = await this.#pages.next()
        if (page.done === true) return { value: undefined, done: true }
        this.#kvs = page.value.kvs
        this.#index = 0
      }
    } finally {
      this.#waiting -= 1
    }
  }

  #take(): KeyValue | undefined {
    const value = this.#kvs[this.#index]
    this.#index += 1
    return value
  }
}
