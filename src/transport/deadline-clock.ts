import { longestTimerMs } from '../core/abort.js'

/** Something with a deadline on the clock of `performance.now()`. */
export interface Expiring {
  readonly deadlineAt: number
  expire(): void
}

/**
 * Expires calls at their deadlines with one timer for all: it is set for the earliest deadline, and then for the earliest
 * remaining one. Calls that end in time never touch the timer. It holds the process open while there are calls, whatever the
 * state of the connection.
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
    // `expire` may have added items, which have set the timer already.
    if (this.#open.size > 0 && this.#firesAt >= nextAt) this.#arm(nextAt)
  }
}
