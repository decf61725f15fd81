import { type Comparison, key } from '../../kv/compare.js'
import { LockLostError } from './lock-errors.js'
import type { LockKey } from './lock-key.js'

/** What a lock is made of. */
export interface LockInit {
  readonly name: string
  readonly fence: number
  readonly key: LockKey
  /** Whether the key is never handed to another holder: then its creation alone tells who holds the lock. */
  readonly ownKey: boolean
  /** Aborts when the key is gone although its lease is there. */
  readonly gone: AbortSignal
  /** Bounds the wait for a value to be written. */
  onRewrite(written: Promise<void>): Promise<void>
  /** Gives it up when all that was written to the key is. */
  onRelease(written: Promise<unknown>): Promise<void>
}

/**
 * A lock that was granted. That it is held can be relied on no longer than its lease: a process that was stopped finds
 * `isHeld()` false as soon as it runs again, but may have done something in between that it had decided before. What must
 * never be done by two holders needs the `fence`, checked by the resource itself, or `guard()` where that is in etcd.
 */
export class Lock implements AsyncDisposable {
  /** The lock's name. */
  readonly name: string
  /** A revision at which it is ours, and before which it was not: greater for each holder than for all before. */
  readonly fence: number
  readonly #init: LockInit
  readonly #key: LockKey
  readonly #losses: readonly AbortSignal[]
  #guard: Comparison
  readonly #abort = new AbortController()
  #writing: Promise<unknown> = Promise.resolve()
  #releasing: Promise<void> | undefined

  /** Made by `lock()`. */
  constructor(init: LockInit) {
    this.name = init.name
    this.fence = init.fence
    this.#init = init
    this.#key = init.key
    this.#guard = this.#guardNow()
    this.#losses = [init.key.session.signal, init.gone]
    for (const signal of this.#losses) {
      if (signal.aborted) this.#lost()
      else signal.addEventListener('abort', this.#lost, { once: true })
    }
  }

  /** The key in etcd that stands for it. */
  get keyText(): string {
    return `${this.name}/${this.#key.session.id}`
  }

  /**
   * Aborts, with a `LockLostError`, when the lock is lost: when its lease has ended, by this process's clock or the word of
   * a member, or when somebody has deleted its key, which is watched once it is held for 500 ms. Its release does not
   * abort it.
   */
  get signal(): AbortSignal {
    // Right also for who asks before any timer could run.
    if (this.#releasing === undefined) this.#key.session.isAlive()
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

  /**
   * Changes what others see in the key. Rejects with a `LockLostError` if the lock is no longer ours, and after the client's
   * `timeoutMs` with `DEADLINE_EXCEEDED`: the value may then be written later, for as long as the lock is held.
   */
  rewrite(value: string): Promise<void> {
    const written = this.#writing.then(() => this.#rewrite(value))
    this.#writing = written.catch(() => {})
    return this.#init.onRewrite(written)
  }

  /**
   * Gives it to the next in the queue. Resolves when the key is deleted, and after the client's `timeoutMs` at the latest: the
   * client's event `releaseDelayed` then reports that the key is still there, and the client goes on trying until the lease
   * has ended. A lock that was lost is released already.
   */
  release(): Promise<void> {
    if (this.#releasing === undefined) {
      for (const signal of this.#losses) signal.removeEventListener('abort', this.#lost)
      this.#releasing = this.#init.onRelease(this.#writing)
    }
    return this.#releasing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  async #rewrite(value: string): Promise<void> {
    const revision = this.isHeld() ? await this.#key.rewrite(value).catch((error) => this.#explain(error)) : undefined
    if (revision === undefined) throw new LockLostError(this.name, this.#abort.signal.reason)
    this.#guard = this.#guardNow()
  }

  #explain(error: unknown): never {
    throw this.isHeld() ? error : new LockLostError(this.name, error)
  }

  /** In the caller's keyspace. */
  #guardNow(): Comparison {
    const { createRevision, modRevision } = this.#key
    return this.#init.ownKey
      ? key(this.keyText).createRevision.equals(createRevision)
      : key(this.keyText).modRevision.equals(modRevision)
  }

  readonly #lost = (): void => {
    const cause = this.#losses.find(({ aborted }) => aborted)?.reason
    this.#abort.abort(new LockLostError(this.name, cause))
  }
}
