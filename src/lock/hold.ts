import type { LockKey } from './lock-key.js'
import type { LockRequest } from './lock-request.js'

/** Locks that are held for less time than this are not watched. */
const watchAfterMs = 1000

/** A lock that this process has, for one holder after the other. */
export class Hold {
  readonly key: LockKey
  /** Who the key was made for. */
  readonly request: LockRequest
  /** How often the lock went from one to the next in this process without leaving it. */
  handOvers = 0
  readonly #gone = new AbortController()
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined

  constructor(key: LockKey, request: LockRequest) {
    this.key = key
    this.request = request
  }

  /** Aborts when somebody else has deleted the key: the lock is another one's then, although the lease is there. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Begins to look after the key, once the lock is ours. */
  begin(): void {
    this.#timer ??= setTimeout(() => void this.#watch(), watchAfterMs).unref()
  }

  /** The lock is given up, or was lost. */
  close(): void {
    clearTimeout(this.#timer)
    this.#closing.abort()
  }

  async #watch(): Promise<void> {
    try {
      await this.key.untilGone(this.#closing.signal)
      this.#gone.abort(new Error('its key was deleted'))
    } catch {
      // It was closed; or nothing can be watched, and the lease alone tells.
    }
  }
}
