import { waitWithin } from '../../core/wait.js'

/** One after the other, in the order in which they ask. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  /** Waits for its turn; resolves with what ends it. With an abort, those behind do not wait for it. */
  async take(signal: AbortSignal): Promise<() => void> {
    const before = this.#last
    let end = (): void => {}
    this.#last = new Promise((resolve) => {
      end = resolve
    })
    try {
      await waitWithin(before, { signal })
      return end
    } catch (error) {
      void before.then(end)
      throw error
    }
  }
}
