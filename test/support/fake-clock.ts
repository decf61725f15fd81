import type { TestContext } from 'node:test'

/** A timer of a fake clock. */
interface FakeTimer {
  readonly dueAt: number
  readonly run: () => void
  holdsProcess: boolean
  ref(): FakeTimer
  unref(): FakeTimer
}

/** During one test, replaces `performance.now()` and `setTimeout()` by a clock that stands still unless it is moved. */
export class FakeClock {
  now = 1000
  readonly #timers = new Set<FakeTimer>()

  constructor(t: TestContext) {
    t.mock.method(performance, 'now', () => this.now)
    t.mock.method(globalThis, 'setTimeout', ((run: () => void, delayMs: number) =>
      this.#timer(run, delayMs)) as unknown as typeof setTimeout)
    t.mock.method(globalThis, 'clearTimeout', ((timer: FakeTimer) =>
      this.#timers.delete(timer)) as unknown as typeof clearTimeout)
  }

  /** How many timers are running. */
  get timers(): number {
    return this.#timers.size
  }

  /** Whether a timer keeps the process alive. */
  get holdsProcess(): boolean {
    return [...this.#timers].some((timer) => timer.holdsProcess)
  }

  /** Moves the clock, and runs each timer when it is due. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms
    await settled()
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
      this.#timers.delete(timer)
      this.now = Math.max(this.now, timer.dueAt)
      timer.run()
      await settled()
    }
    this.now = until
  }

  /** Moves the clock while nothing runs, as in a blocked event loop. */
  block(ms: number): void {
    this.now += ms
  }

  #next(until: number): FakeTimer | undefined {
    const due = [...this.#timers].filter(({ dueAt }) => dueAt <= Math.max(until, this.now))
    return due.sort((a, b) => a.dueAt - b.dueAt)[0]
  }

  #timer(run: () => void, delayMs: number): FakeTimer {
    const holding = (holdsProcess: boolean) => (): FakeTimer => Object.assign(timer, { holdsProcess })
    const timer: FakeTimer = {
      dueAt: this.now + delayMs,
      run,
      holdsProcess: true,
      ref: holding(true),
      unref: holding(false),
    }
    this.#timers.add(timer)
    return timer
  }
}

/** Resolves when all promises that depend on nothing else have settled. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
