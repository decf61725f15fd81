import { waitWithin } from '../../core/wait.js'
import { Deferred } from '../../core/waiter.js'

/** Lets one caller of this process at a time do something, in the order in which they come. */
export class LocalMutex {
  #last: Promise<void> = Promise.resolve()

  /** Waits for its turn; resolves with a function that ends it. A caller that aborts does not delay those behind it. */
  async acquire(signal: AbortSignal): Promise<() => void> {
    const before = this.#last
    const { promise, resolve: release } = new Deferred<void>()
    this.#last = promise
    try {
      await waitWithin(before, { signal })
      return release
    } catch (error) {
      void before.then(release)
      throw error
    }
  }
}
