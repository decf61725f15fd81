import type { Comparison } from '../kv/compare.js'
import { LockLostError } from './lock-errors.js'
import type { LockKey } from './lock-key.js'

/**
 * A lock that was granted. That it is held can be relied on no longer than its lease: a process that was stopped finds
 * `isHeld()` false as soon as it runs again, but may have done something in between that it had decided before. What must
 * never be done by two holders needs the `fence`, checked by the resource itself, or `guard()` where that is in etcd.
 */
export class Lock implements AsyncDisposable {
  /** The lock's name. */
  readonly name: string
  /** The revision at which it became ours: greater for each holder than for all before. */
  readonly fence: number
  readonly #key: LockKey
  readonly #onRelease: (lock: Lock) => Promise<void>
  #guard: Comparison
  readonly #abort = new AbortController()
  #releasing: Promise<void> | undefined

  /** Made by `lock()`. */
  constructor(name: string, key: LockKey, fence: number, onRelease: (lock: Lock) => Promise<void>) {
    this.name = name
    this.fence = fence
    this.#key = key
    this.#onRelease = onRelease
    this.#guard = key.guard
    const { signal } = key.session
    if (signal.aborted) this.#lost()
    else signal.addEventListener('abort', this.#lost, { once: true })
  }

  /** The key in etcd that stands for it. */
  get key(): string {
    return this.#key.key
  }

  /** Aborts, with a `LockLostError`, when the lock is lost. Its release does not abort it. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether the lock is certainly held at this moment. */
  isHeld(): boolean {
    return this.#releasing === undefined && this.#key.session.isAlive() && !this.#abort.signal.aborted
  }

  /** Time that it is certainly held without a renewal of its lease. */
  get remainingMs(): number {
    return this.isHeld() ? Math.max(0, this.#key.session.expiresAt - performance.now()) : 0
  }

  /** For the `if` of a transaction: it holds as long as nobody else, here or elsewhere, has come to hold the lock. */
  guard(): Comparison {
    return this.#guard
  }

  /** Changes what others see in the key. Rejects with a `LockLostError` if the lock is no longer ours. */
  async rewrite(value: string): Promise<void> {
    if (!this.isHeld()) throw new LockLostError(this.name, this.#abort.signal.reason)
    await this.#key.rewrite(value)
    this.#guard = this.#key.guard
  }

  /** Gives it to the next in the queue. Resolves when that is done; a lock that was lost is released already. */
  release(): Promise<void> {
    if (this.#releasing === undefined) {
      this.#key.session.signal.removeEventListener('abort', this.#lost)
      this.#releasing = this.#onRelease(this)
    }
    return this.#releasing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  readonly #lost = (): void => this.#abort.abort(new LockLostError(this.name, this.#key.session.signal.reason))
}
