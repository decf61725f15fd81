const tickMs = 100

/**
 * Ticks every 100 ms while something is waited for, to find silent members. It does not hold the process open.
 */
export class TickClock {
  readonly #isNeeded: () => boolean
  readonly #onTick: (now: number) => void
  #timer: NodeJS.Timeout | undefined
  #tickedAt = 0

  /** `isNeeded` is asked before each tick; the clock stops where it returns `false`, until the next `start`. */
  constructor(isNeeded: () => boolean, onTick: (now: number) => void) {
    this.#isNeeded = isNeeded
    this.#onTick = onTick
  }

  start(): void {
    if (this.#timer !== undefined) return
    this.#tickedAt = performance.now()
    this.#timer = setInterval(() => this.#tick(), tickMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tick(): void {
    const now = performance.now()
    const isLate = now - this.#tickedAt > 2 * tickMs
    this.#tickedAt = now
    if (!this.#isNeeded()) this.stop()
    // When this process itself was stalled, responses may lie unread: no member is judged by such a tick.
    else if (!isLate) this.#onTick(now)
  }
}
