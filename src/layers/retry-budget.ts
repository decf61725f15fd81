import { sleep } from '../core/abort.js'

/** How many repeats a client may make. */
export interface RetryBudgetOptions {
  /** Repeats that may be made at once after a quiet time. */
  readonly capacity: number
  /** Repeats added each second. */
  readonly perSecond: number
  /** Repeats added by each call that succeeded at the first attempt. */
  readonly perSuccess: number
}

/**
 * A token bucket shared by all calls of a client, so that repeats never multiply an outage. A call that finds it empty
 * waits its turn, within its own deadline, instead of failing: the refusals that are repeated most are cheap for etcd.
 */
export class RetryBudget {
  readonly #options: RetryBudgetOptions
  #tokens: number
  #filledAt = performance.now()
  #throttled = 0

  constructor(options: RetryBudgetOptions) {
    this.#options = options
    this.#tokens = options.capacity
  }

  /** How often a repeat had to wait for its turn. */
  get throttled(): number {
    return this.#throttled
  }

  /** A call succeeded without a repeat. */
  deposit(): void {
    if (this.#tokens < this.#options.capacity) this.#tokens += this.#options.perSuccess
  }

  /**
   * Takes one repeat, waiting for it if need be, or until `closing` aborts. Debts are ordered: each caller in the queue
   * waits for its own token.
   */
  async take(signal: AbortSignal | undefined, closing?: AbortSignal): Promise<void> {
    this.#fill()
    this.#tokens -= 1
    if (this.#tokens >= 0) return
    this.#throttled += 1
    await sleep((-this.#tokens / this.#options.perSecond) * 1000, signal, closing)
  }

  #fill(): void {
    const now = performance.now()
    const earned = ((now - this.#filledAt) / 1000) * this.#options.perSecond
    this.#filledAt = now
    this.#tokens = Math.min(this.#options.capacity, this.#tokens + earned)
  }
}
