import type { LockRequest } from './lock-options.js'
import type { QueueKey } from './queue-key.js'

/** A key is watched from then on: most locks are released before, and each hand-over proves that the key is ours. */
const watchAfterMs = 500

/** A key whose turn has come, in the hands of one lock handle after the other, and the detection of its loss. */
export class HeldLock {
  readonly key: QueueKey
  /** The request that the key was created for. */
  readonly request: LockRequest
  /** How often the lock was handed over in this process. */
  handOvers = 0
  readonly #deleted = new AbortController()
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #isWatched = false

  constructor(key: QueueKey, request: LockRequest) {
    this.key = key
    this.request = request
  }

  /** Each aborts when the lock is lost: the lease has ended, or somebody has deleted the key, or overwritten it. */
  get losses(): readonly AbortSignal[] {
    return [this.key.session.signal, this.#deleted.signal]
  }

  get isLost(): boolean {
    return !this.key.session.isAlive() || this.#deleted.signal.aborted
  }

  /** Watches the key: at once for a leader, which usually stays, and else when a holder keeps it for longer. */
  watch(): void {
    if (this.#isWatched) return
    clearTimeout(this.#timer)
    if (this.request.kind === 'election') void this.#watch()
    else this.#timer = setTimeout(() => void this.#watch(), watchAfterMs).unref()
  }

  /** Deletes the key, or leaves it to the end of its lease. Never rejects. */
  giveUp(): Promise<void> {
    clearTimeout(this.#timer)
    this.#closing.abort()
    return this.key.leave()
  }

  async #watch(): Promise<void> {
    this.#isWatched = true
    try {
      await this.key.whenDeleted(this.#closing.signal)
      this.#deleted.abort(new Error('its key was deleted or overwritten'))
    } catch {
      // The lock was given up; or nothing can be watched, and only the lease shows a loss.
    }
  }
}
