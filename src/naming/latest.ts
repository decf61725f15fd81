/** Holds the latest value from a producer until a slower consumer takes it. */
export class Latest<T> {
  #next: { readonly value: T } | { readonly error: unknown } | undefined
  #waiter: (() => void) | undefined

  set(value: T): void {
    this.#put({ value })
  }

  /** Ends the sequence: the consumer receives the error. */
  fail(error: unknown): void {
    this.#put({ error })
  }

  async take(): Promise<T> {
    while (this.#next === undefined) {
      await new Promise<void>((resolve) => {
        this.#waiter = resolve
      })
    }
    const next = this.#next
    if ('error' in next) throw next.error
    this.#next = undefined
    return next.value
  }

  #put(next: { readonly value: T } | { readonly error: unknown }): void {
    if (this.#next !== undefined && 'error' in this.#next) return
    this.#next = next
    this.#waiter?.()
  }
}
