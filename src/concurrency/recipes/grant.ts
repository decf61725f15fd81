import type { Comparison } from '../../kv/compare.js'
import { watchAfterMs } from '../lock/hold.js'
import { LockLostError } from '../lock/lock-errors.js'
import type { LockKind } from '../lock/lock-observer.js'
import { releaseWithin } from '../lock/release.js'
import type { OwnKey } from './own-key.js'
import type { RecipeHost } from './recipe-host.js'

/** The key of what was granted. */
export interface GrantedKey {
  readonly key: OwnKey
  readonly kind: LockKind
}

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
  readonly #kind: LockKind
  readonly #host: RecipeHost
  readonly #abort = new AbortController()
  readonly #closing = new AbortController()
  readonly #watching: NodeJS.Timeout
  #releasing: Promise<void> | undefined

  /** Made by `read()`, `write()` and `acquire()`. */
  constructor(name: string, fence: number, { key, kind }: GrantedKey, host: RecipeHost) {
    this.name = name
    this.fence = fence
    this.#key = key
    this.#kind = kind
    this.#host = host
    const { signal } = key.session
    this.#watching = setTimeout(() => void this.#watch(), watchAfterMs).unref()
    if (signal.aborted) this.#onLeaseLost()
    else signal.addEventListener('abort', this.#onLeaseLost, { once: true })
  }

  /** The key in etcd that stands for it. */
  get keyText(): string {
    return this.#key.name
  }

  /**
   * Aborts, with a `LockLostError`, when it is lost: when its lease has ended, or when somebody has deleted its key, which is
   * watched once it is held for 500 ms. Its release does not abort it.
   */
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

  /** Gives it to the next in the queue, and resolves, as `release()` of a lock does; what was lost is released already. */
  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  #release(): Promise<void> {
    this.#host.observer.lockReleased(this)
    this.#close()
    return releaseWithin(this.#key.leave(), { kind: this.#kind, keyText: this.keyText }, this.#host)
  }

  async #watch(): Promise<void> {
    try {
      await this.#key.untilGone(this.#closing.signal)
      this.#lose(new Error('its key was deleted or overwritten'))
    } catch {
      // It was given up or lost; or nothing can be watched, and the lease alone tells.
    }
  }

  #lose(cause: unknown): void {
    this.#close()
    this.#abort.abort(new LockLostError(this.name, cause))
    void this.#key.leave()
  }

  #close(): void {
    clearTimeout(this.#watching)
    this.#closing.abort()
    this.#key.session.signal.removeEventListener('abort', this.#onLeaseLost)
  }

  readonly #onLeaseLost = (): void => this.#lose(this.#key.session.signal.reason)
}
