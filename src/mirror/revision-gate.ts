import { notInTime, type WaitBounds, waitWithin } from '../core/wait.js'

interface Waiter {
  readonly revision: number
  readonly resolve: (reached: number) => void
  readonly reject: (error: unknown) => void
}

/** How often to request progress while a caller waits: a quiet watch reports no progress unasked. */
const askEveryMs = 200

/** Callers that wait until a revision is reached. */
export class RevisionGate {
  readonly #ask: () => void
  readonly #hindrance: () => unknown
  readonly #waiters = new Set<Waiter>()
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
    let leave = (): void => {}
    const reached = new Promise<number>((resolve, reject) => {
      const waiter = { revision, resolve, reject }
      leave = () => this.#remove(waiter)
      this.#add(waiter)
    })
    try {
      return await waitWithin(reached, bounds, () =>
        notInTime(`the mirror did not reach revision ${revision} in time`, this.#hindrance()),
      )
    } finally {
      leave()
    }
  }

  advance(revision: number): void {
    this.#reached = revision
    for (const waiter of this.#waiters) if (waiter.revision <= revision) waiter.resolve(revision)
  }

  /** The reached revision belongs to another history than what follows. */
  reset(): void {
    this.#reached = undefined
  }

  fail(error: unknown): void {
    this.#failure = { error }
    for (const { reject } of this.#waiters) reject(error)
  }

  #add(waiter: Waiter): void {
    this.#waiters.add(waiter)
    this.#ask()
    this.#timer ??= setInterval(() => this.#ask(), askEveryMs)
  }

  #remove(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    if (this.#waiters.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
