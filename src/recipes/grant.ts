import type { Comparison } from '../kv/compare.js'
import { LockLostError } from '../lock/lock-errors.js'
import type { OwnKey } from './own-key.js'

/**
 * What was granted to one caller: a read or a write lock, or a permit of a semaphore. It can be relied on as a `Lock` can:
 * no longer than its lease, and for what must never be done twice together with the `fence` or the `guard()`.
 */
export class Grant implements AsyncDisposable {
  /** The name of what was granted. */
  readonly name: string
  /**
   * A revision at which it is ours, and before which it was not. A write lock's is greater than those of all holders before
   * it; readers that are let in together, and holders of permits, may have the same.
   */
  readonly fence: number
  readonly #key: OwnKey
  readonly #abort = new AbortController()
  #releasing: Promise<void> | undefined

  /** Made by `read()`, `write()` and `acquire()`. */
  constructor(name: string, fence: number, key: OwnKey) {
    this.name = name
    this.fence = fence
    this.#key = key
    const { signal } = key.session
    if (signal.aborted) this.#lost()
    else signal.addEventListener('abort', this.#lost, { once: true })
  }

  /** The key in etcd that stands for it. */
  get key(): string {
    return this.#key.name
  }

  /** Aborts, with a `LockLostError`, when it is lost. Its release does not abort it. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether it is certainly held at this moment. */
  isHeld(): boolean {
    return this.#releasing === undefined && this.#key.session.isAlive() && !this.#abort.signal.aborted
  }

  /** Time that it is certainly held without a renewal of its lease. */
  get remainingMs(): number {
    return this.isHeld() ? Math.max(0, this.#key.session.expiresAt - performance.now()) : 0
  }

  /** For the `if` of a transaction: it holds as long as this has not been given up or lost. */
  guard(): Comparison {
    return this.#key.guard
  }

  /** Gives it to those who wait. Resolves when that is done; what was lost is released already. */
  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  #release(): Promise<void> {
    this.#key.session.signal.removeEventListener('abort', this.#lost)
    return this.#key.leave()
  }

  readonly #lost = (): void => {
    this.#abort.abort(new LockLostError(this.name, this.#key.session.signal.reason))
    this.#key.session.release()
  }
}
