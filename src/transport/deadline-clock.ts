import { longestTimerMs } from '../core/abort.js'

/** Something that ends at a time, on the clock of `performance.now()`. */
export interface Expiring {
  readonly deadlineAt: number
  expire(): void
}

/**
 * Ends what is under way at its deadline, with one timer for all: it waits for the earliest deadline that it was told of,
 * looks at everything then, and waits for the earliest that is left. Calls that end in time never touch it. The timer does
 * not hold the process open.
 */
export class DeadlineClock {
  readonly #open = new Set<Expiring>()
  #timer: NodeJS.Timeout | undefined
  #ringsAt = Number.POSITIVE_INFINITY

  add(item: Expiring): void {
    this.#open.add(item)
    if (item.deadlineAt < this.#ringsAt) this.#setFor(item.deadlineAt)
  }

  delete(item: Expiring): void {
    this.#open.delete(item)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#open.clear()
  }

  #setFor(time: number): void {
    clearTimeout(this.#timer)
    this.#ringsAt = time
    const waitMs = Math.max(1, Math.min(time - performance.now(), longestTimerMs))
    this.#timer = setTimeout(() => this.#ring(), waitMs)
    this.#timer.unref()
  }

  #ring(): void {
    const now = performance.now()
    this.#ringsAt = Number.POSITIVE_INFINITY
    let nextAt = Number.POSITIVE_INFINITY
    for (const item of this.#open) {
      if (item.deadlineAt <= now) item.expire()
      else nextAt = Math.min(nextAt, item.deadlineAt)
    }
    // What was added meanwhile has set the timer by itself.
    if (nextAt < this.#ringsAt) this.#setFor(nextAt)
  }
}
