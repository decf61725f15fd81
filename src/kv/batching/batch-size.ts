import { isEtcdError } from '../../core/errors.js'

const maxSuccessesNeeded = 1024

/**
 * How many operations to put into one transaction: half as many after a refusal, when all of them had to be repeated one
 * by one; then one more after each success, or after several successes if refusals continue.
 */
export class BatchSize {
  /** The limit of the members. */
  #max: number
  #current: number
  /** Successes until one more operation is allowed. */
  #successesNeeded = 1
  #successes = 0

  constructor(max: number) {
    this.#max = max
    this.#current = max
  }

  get current(): number {
    return this.#current
  }

  succeeded(operations: number): void {
    if (this.#current >= this.#max) return
    if (operations > 1) this.#successesNeeded = Math.max(1, this.#successesNeeded / 2)
    this.#successes += 1
    if (this.#successes < this.#successesNeeded) return
    this.#successes = 0
    this.#current += 1
  }

  refused(operations: number, error: unknown): void {
    if (isEtcdError(error, 'TOO_MANY_OPS')) this.#max = Math.max(1, Math.min(this.#max, operations - 1))
    this.#current = Math.max(1, operations >> 1)
    this.#successesNeeded = Math.min(maxSuccessesNeeded, this.#successesNeeded * 2)
    this.#successes = 0
  }
}
