import { isEtcdError } from '../../core/errors.js'

const mostPatience = 1024

/**
 * How many operations to put into one transaction. After a refusal, when all of them had to be made again one by one, half
 * as many; then one more after each success, or after more of them where refusals go on.
 */
export class BatchSize {
  /** What the members allow. */
  #most: number
  #now: number
  /** Successes that one more takes. */
  #patience = 1
  #successes = 0

  constructor(most: number) {
    this.#most = most
    this.#now = most
  }

  get now(): number {
    return this.#now
  }

  succeeded(operations: number): void {
    if (this.#now >= this.#most) return
    if (operations > 1) this.#patience = Math.max(1, this.#patience / 2)
    this.#successes += 1
    if (this.#successes < this.#patience) return
    this.#successes = 0
    this.#now += 1
  }

  refused(operations: number, error: unknown): void {
    if (isEtcdError(error, 'TOO_MANY_OPS')) this.#most = Math.max(1, Math.min(this.#most, operations - 1))
    this.#now = Math.max(1, operations >> 1)
    this.#patience = Math.min(mostPatience, this.#patience * 2)
    this.#successes = 0
  }
}
