import { notInTime } from '../core/wait.js'
import { Waiters } from '../core/waiter.js'

/** How often to request progress while a caller waits. */
const askEveryMs = 100
/** After this many unanswered requests, and then after every ten, use the probe: not every member answers. */
const patience = 3

/** Callers that wait until an informer reaches a revision. */
export class RevisionWaiters {
  readonly #ask: () => void
  readonly #probe: () => void
  readonly #hindrance: () => unknown
  readonly #waiters = new Waiters<void, number>()
  #timer: NodeJS.Timeout | undefined
  #asked = 0

  /** `ask` requests progress from the member; `probe` finds it out by a read; `hindrance` returns why neither helps. */
  constructor(ask: () => void, probe: () => void, hindrance: () => unknown = () => undefined) {
    this.#ask = ask
    this.#probe = probe
    this.#hindrance = hindrance
  }

  /** Resolves when `advanced()` is called with `revision` or a later one. */
  async wait(revision: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    this.#start()
    return this.#waiters.wait(revision, {
      signal,
      timeoutMs,
      onTimeout: (waiter) =>
        waiter.reject(notInTime(`the informer did not reach revision ${revision} in time`, this.#hindrance())),
      onEnd: () => {
        if (this.#waiters.size === 0) this.#stop()
      },
    })
  }

  advanced(revision: number): void {
    this.#asked = 0
    for (const [waiter, awaited] of [...this.#waiters]) if (awaited <= revision) waiter.resolve()
  }

  fail(error: unknown): void {
    for (const [waiter] of [...this.#waiters]) waiter.reject(error)
  }

  #start(): void {
    if (this.#timer !== undefined) return
    this.#ask()
    this.#timer = setInterval(() => {
      this.#asked += 1
      if (this.#asked === patience || this.#asked % 10 === 0) this.#probe()
      else this.#ask()
    }, askEveryMs)
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#asked = 0
  }
}
