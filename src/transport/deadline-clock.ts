import { longestTimerMs } from '../core/abort.js'

/** Something that ends at a time, on the clock of `performance.now()`. */
export interface Expiring {
  readonly deadlineAt: number
  expire(): void
}

/**
 * Ends what is under way at its deadline, with one timer for all: it waits for the earliest deadline that it was told of,
 * looks at everything then, and waits for the earliest that is left. Calls that end in time never touch it. It holds the
 * process open as long as anything is under way, whatever becomes of the connection.
 */
export class DeadlineClock {
  readonly #open = new Set<Expiring>()
  #timer: NodeJS.Timeout | undefined
  #firesAt = Number.POSITIVE_INFINITY

  add(item: Expiring): void {
    if (this.#open.size === 0) this.#timer?.ref()
    this.#open.add(item)
    if (item.deadlineAt < this.#firesAt || this.#firesAt === Number.POSITIVE_INFINITY) this.#arm(item.deadlineAt)
  }

  delete(item: Expiring): void {
    this.#open.delete(item)
    if (this.#open.size === 0) this.#timer?.unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#open.clear()
  }

  #arm(time: number): void {
    clearTimeout(this.#timer)
    const now = performance.now()
    this.#firesAt = Math.min(time, now + longestTimerMs)
    this.#timer = setTimeout(() => this.#fire(), Math.min(longestTimerMs, Math.max(1, time - now)))
  }

  #fire(): void {
    const now = performance.now()
    this.#firesAt = Number.POSITIVE_INFINITY
    let nextAt = Number.POSITIVE_INFINITY
    for (const item of this.#open) {
      if (item.deadlineAt <= now) item.expire()
      else nextAt = Math.min(nextAt, item.deadlineAt)
    }
    // What was added meanwhile has set the timer by itself.
    if (this.#open.size > 0 && this.#firesAt >= nextAt) this.#arm(nextAt)
  }
}
