/** The last of the values that one side sets, for another side that takes them at its own pace. */
export class Latest<T> {
  #next: { readonly value: T } | { readonly error: unknown } | undefined
  #waiter: (() => void) | undefined

  set(value: T): void {
    this.#put({ value })
  }

  /** The last of all: it is taken as an error. */
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
