import { onAbort } from '../core/abort.js'
import { printAs } from '../core/printing.js'
import { type Comparison, key } from '../kv/compare.js'
import type { LockObserver } from './concurrency-host.js'
import type { HeldLock } from './held-lock.js'
import { LockLostError } from './lock-errors.js'
import { checkLockValue, type LockRequest } from './lock-options.js'
import { type ReleaseHost, releaseWithin, rewriteWithin } from './release.js'

/** The parts of a lock handle. */
export interface LockHandleInit {
  readonly request: LockRequest
  readonly keyText: string
  readonly fence: number
  readonly held: HeldLock
  readonly host: ReleaseHost & { readonly observer: LockObserver }
  /** Gives the lock up. Called once, when it is released or lost. */
  onEnd(): Promise<void>
}

/**
 * A lock that was granted: by `lock()`, as a read or a write lock, or as a permit of a semaphore.
 *
 * It is certain to be held no longer than its lease. A process that was stopped finds `isHeld()` false as soon as it runs
 * again, but may still do what it decided before. To exclude two holders, the resource itself must check the `fence`; a
 * transaction in etcd checks `guard()`.
 *
 * @example
 * await using lock = await etcd.lock('locks/accounts/7')
 * await etcd.txn().if(lock.guard()).then(put('accounts/7', '10')).commit()
 */
export class LockHandle implements AsyncDisposable {
  static {
    printAs(this, (lock) => {
      const { name, keyText, fence } = lock
      return { name, keyText, fence, isHeld: lock.isHeld() }
    })
  }
  /** The name of the lock. */
  readonly name: string
  /**
   * The fencing token: a revision at which the lock was ours, and before which it was not. It is greater than the fences of
   * all earlier holders. Readers that are let in together, and holders of permits, may share one.
   */
  readonly fence: number
  /** The key in etcd that stands for the lock. */
  readonly keyText: string
  readonly #init: LockHandleInit
  readonly #abort = new AbortController()
  /** Removes the listeners from signals, which may live longer than the lock. */
  #removals: readonly (() => void)[] = []
  #guard: Comparison
  #writing: Promise<unknown> = Promise.resolve()
  #releasing: Promise<void> | undefined

  /** Created by `lock()`, `read()`, `write()` and `acquire()`. */
  constructor(init: LockHandleInit) {
    this.name = init.request.name
    this.fence = init.fence
    this.keyText = init.keyText
    this.#init = init
    this.#guard = this.#guardNow()
    init.held.watch()
    this.#removals = init.held.losses.map((signal) => onAbort(signal, (reason) => this.#lose(reason)))
    if (this.#abort.signal.aborted) this.#removeListeners()
  }

  /**
   * Aborts, with a `LockLostError`, when the lock is lost: its lease has ended, by the clock of this process or according to a
   * member, or its key was deleted. The key is watched once the lock has been held for 500 ms. A release does not abort it.
   */
  get signal(): AbortSignal {
    // Notices an expired lease even before a timer could run.
    if (this.#releasing === undefined) this.#init.held.key.session.isAlive()
    return this.#abort.signal
  }

  /** Whether the lock is certainly held at this moment. */
  isHeld(): boolean {
    return this.#releasing === undefined && !this.#init.held.isLost && !this.#abort.signal.aborted
  }

  /** How long the lock is certainly held without another renewal of its lease, in milliseconds. */
  get remainingMs(): number {
    return this.isHeld() ? Math.max(0, this.#init.held.key.session.expiresAt - performance.now()) : 0
  }

  /** A condition for the `if` of a transaction. It holds as long as nobody else, here or elsewhere, has got the lock. */
  guard(): Comparison {
    return this.#guard
  }

  /**
   * Changes the value of the key, which others see.
   *
   * @throws `LockLostError` if the lock is no longer held. `DEADLINE_EXCEEDED` after the client's `timeoutMs`: the value may then
   * be written later, while the lock is held.
   */
  async rewrite(value: string): Promise<void> {
    const text = checkLockValue(value)
    const written = this.#writing.then(() => this.#rewrite(text))
    this.#writing = written.catch(() => {})
    return rewriteWithin(written, this.keyText, this.#init.host)
  }

  /**
   * Releases the lock to the next in the queue. Resolves when the key is deleted or handed over, and after the client's
   * `timeoutMs` at the latest: the client then emits `releaseDelayed`, and continues to try until the lease ends. Resolves at
   * once if the lock was lost. Calling it again changes nothing.
   */
  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  /** Same as `release()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  async #release(): Promise<void> {
    const { host, request, onEnd } = this.#init
    host.observer.lockReleased(this)
    if (this.#abort.signal.aborted) return
    this.#removeListeners()
    await releaseWithin(this.#writing.then(onEnd), { kind: request.kind, keyText: this.keyText }, host)
  }

  async #rewrite(value: string): Promise<void> {
    const { key } = this.#init.held
    const revision = this.isHeld() ? await key.rewrite(value).catch((error) => this.#explain(error)) : undefined
    if (revision === undefined) throw new LockLostError(this.name, this.#abort.signal.reason)
    this.#guard = this.#guardNow()
  }

  #explain(error: unknown): never {
    throw this.isHeld() ? error : new LockLostError(this.name, error)
  }

  /** In the caller's keyspace. A key that is never handed over proves its holder by its creation, others by their last write. */
  #guardNow(): Comparison {
    const { held, request } = this.#init
    const { createRevision, modRevision } = held.key
    return request.sharesKey
      ? key(this.keyText).modRevision.equals(modRevision)
      : key(this.keyText).createRevision.equals(createRevision)
  }

  #removeListeners(): void {
    for (const remove of this.#removals) remove()
  }

  #lose(cause: unknown): void {
    if (this.#abort.signal.aborted) return
    this.#removeListeners()
    this.#abort.abort(new LockLostError(this.name, cause))
    void this.#init.onEnd()
  }
}
