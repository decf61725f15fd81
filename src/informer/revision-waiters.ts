import { longestTimerMs } from '../core/abort.js'
import { notInTime } from '../core/wait.js'

interface Waiter {
  readonly revision: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** How often to request progress while a caller waits. */
const askEveryMs = 100
/** After this many unanswered requests, and then after every ten, use the probe: not every member answers. */
const patience = 3

/** Callers that wait until an informer reaches a revision. */
export class RevisionWaiters {
  readonly #ask: () => void
  readonly #probe: () => void
  readonly #hindrance: () => unknown
  readonly #waiters = new Set<Waiter>()
  #timer: NodeJS.Timeout | undefined
  #asked = 0

  /** `ask` requests progress from the member; `probe` finds it out by a read; `hindrance` returns why neither helps. */
  constructor(ask: () => void, probe: () => void, hindrance: () => unknown = () => undefined) {
    this.#ask = ask
    this.#probe = probe
    this.#hindrance = hindrance
  }

  /** Resolves when `advanced()` is called with `revision` or a later one. */
  wait(revision: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#waiters.delete(waiter)
        if (this.#waiters.size === 0) this.#stop()
      }
      const settle =
        <Args extends unknown[]>(settled: (...args: Args) => void) =>
        (...args: Args): void => {
          leave()
          settled(...args)
        }
      const waiter: Waiter = { revision, resolve: settle(resolve), reject: settle(reject) }
      const onAbort = (): void => waiter.reject(signal?.reason)
      const timer = setTimeout(
        () => waiter.reject(notInTime(`the informer did not reach revision ${revision} in time`, this.#hindrance())),
        Math.min(timeoutMs, longestTimerMs),
      )
      this.#waiters.add(waiter)
      if (signal?.aborted === true) onAbort()
      else {
        signal?.addEventListener('abort', onAbort, { once: true })
        this.#start()
      }
    })
  }

  advanced(revision: number): void {
    this.#asked = 0
    for (const waiter of [...this.#waiters]) if (waiter.revision <= revision) waiter.resolve()
  }

  fail(error: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error)
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
