import { longestTimerMs } from './abort.js'

/** The share of the interval by which a run may be early or late. */
const spread = 0.2

/**
 * Runs a task at intervals of 80 to 120 % of `intervalMs`. With equal intervals, clients that were started together would make
 * their calls at the same moments for as long as they live. It does not hold the process open.
 */
export class Repetition {
  readonly #intervalMs: number
  readonly #task: () => void
  readonly #random: () => number
  #timer: NodeJS.Timeout

  constructor(intervalMs: number, task: () => void, random: () => number = Math.random) {
    this.#intervalMs = intervalMs
    this.#task = task
    this.#random = random
    this.#timer = this.#next()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #next(): NodeJS.Timeout {
    const delayMs = this.#intervalMs * (1 + spread * (2 * this.#random() - 1))
    const run = (): void => {
      this.#timer = this.#next()
      this.#task()
    }
    return setTimeout(run, Math.min(delayMs, longestTimerMs)).unref()
  }
}
