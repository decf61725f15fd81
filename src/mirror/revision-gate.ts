import { notInTime, type WaitBounds } from '../core/wait.js'
import { Waiters } from '../core/waiter.js'

/** How often to request progress while a caller waits: a quiet watch reports no progress unasked. */
const askEveryMs = 200

/** Callers that wait until a revision is reached. */
export class RevisionGate {
  readonly #ask: () => void
  readonly #hindrance: () => unknown
  readonly #waiters = new Waiters<number, number>()
  #reached: number | undefined
  #failure: { readonly error: unknown } | undefined
  #timer: NodeJS.Timeout | undefined

  /** `hindrance` returns why the revision is not reached, if known. */
  constructor(ask: () => void, hindrance: () => unknown) {
    this.#ask = ask
    this.#hindrance = hindrance
  }

  async wait(revision: number, bounds: WaitBounds): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#reached !== undefined && this.#reached >= revision) return this.#reached
    this.#start()
    return this.#waiters.wait(revision, {
      ...bounds,
      onTimeout: (waiter) =>
        waiter.reject(notInTime(`the mirror did not reach revision ${revision} in time`, this.#hindrance())),
      onEnd: () => {
        if (this.#waiters.size === 0) this.#stop()
      },
    })
  }

  advance(revision: number): void {
    this.#reached = revision
    for (const [waiter, awaited] of this.#waiters) if (awaited <= revision) waiter.resolve(revision)
  }

  /** The reached revision belongs to another history than what follows. */
  reset(): void {
    this.#reached = undefined
  }

  fail(error: unknown): void {
    this.#failure = { error }
    for (const [waiter] of this.#waiters) waiter.reject(error)
  }

  #start(): void {
    this.#ask()
    this.#timer ??= setInterval(() => this.#ask(), askEveryMs)
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
