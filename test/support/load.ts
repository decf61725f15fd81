import { setTimeout as sleep } from 'node:timers/promises'

/** How hard to work. */
export interface LoadOptions {
  /** Calls under way at a time. @default 8 */
  readonly workers?: number
  /** Each worker's rest between two calls, in milliseconds. @default 5 */
  readonly restMs?: number
}

/** A call of a load that failed. */
export interface LoadFailure {
  /** When it failed, on the clock of `performance.now()`. */
  readonly at: number
  readonly error: unknown
}

/** Repeats a call in several workers until stopped, and counts the outcomes. */
export class Load implements AsyncDisposable {
  /** Calls that have succeeded. */
  successes = 0
  readonly failures: LoadFailure[] = []
  readonly #workers: Promise<void>[]
  #lastSuccessAt = performance.now()
  #longestGapMs = 0
  #longestGapEndedAt = performance.now()
  #stopped = false

  constructor(call: () => Promise<unknown>, { workers = 8, restMs = 5 }: LoadOptions = {}) {
    this.#workers = Array.from({ length: workers }, () => this.#work(call, restMs))
  }

  /** The longest time without any success since `markGap()`, the one that still lasts included. */
  get longestGapMs(): number {
    return Math.max(this.#longestGapMs, this.#stopped ? 0 : performance.now() - this.#lastSuccessAt)
  }

  /** When the longest gap ended with a success, on the clock of `performance.now()`. */
  get longestGapEndedAt(): number {
    return this.#longestGapEndedAt
  }

  /** Starts to measure gaps anew. */
  markGap(): void {
    this.#lastSuccessAt = performance.now()
    this.#longestGapMs = 0
  }

  /** Lets the calls under way end. */
  async stop(): Promise<void> {
    this.#longestGapMs = this.longestGapMs
    this.#stopped = true
    await Promise.all(this.#workers)
  }

  /** Same as `stop()`: a test that fails must not leave it running. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #work(call: () => Promise<unknown>, restMs: number): Promise<void> {
    while (!this.#stopped) {
      try {
        await call()
        this.#succeeded()
      } catch (error) {
        this.failures.push({ at: performance.now(), error })
      }
      await sleep(restMs)
    }
  }

  #succeeded(): void {
    const now = performance.now()
    this.successes += 1
    if (!this.#stopped && now - this.#lastSuccessAt > this.#longestGapMs) {
      this.#longestGapMs = now - this.#lastSuccessAt
      this.#longestGapEndedAt = now
    }
    this.#lastSuccessAt = now
  }
}
