import { sleep } from '../core/abort.js'
import type { CallContext } from '../transport/transport.js'

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
   * waits for its own token. Resolves at once with `false`, and nothing taken, if it would be too late by then.
   */
  async take(
    { signal, deadlineAt }: Pick<CallContext, 'signal' | 'deadlineAt'>,
    closing?: AbortSignal,
  ): Promise<boolean> {
    this.#fill()
    const waitMs = Math.max(0, ((1 - this.#tokens) / this.#options.perSecond) * 1000)
    if (waitMs > 0) this.#throttled += 1
    if (this.#filledAt + waitMs >= deadlineAt) return false
    this.#tokens -= 1
    if (waitMs === 0) return true
    try {
      await sleep(waitMs, signal, closing)
      return true
    } catch (error) {
      // Those behind have their waits already, but those who come later need not pay for it.
      this.#tokens += 1
      throw error
    }
  }

  #fill(): void {
    const now = performance.now()
    const earned = ((now - this.#filledAt) / 1000) * this.#options.perSecond
    this.#filledAt = now
    this.#tokens = Math.min(this.#options.capacity, this.#tokens + earned)
  }
}
