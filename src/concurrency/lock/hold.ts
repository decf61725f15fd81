import type { LockKey } from './lock-key.js'
import type { LockRequest } from './lock-request.js'

/** Each hand-over shows that the key is ours: it is watched for a holder that keeps it for longer than this. */
export const watchAfterMs = 500

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
  #isWatched = false

  constructor(key: LockKey, request: LockRequest) {
    this.key = key
    this.request = request
  }

  /** Aborts when somebody else has deleted the key: the lock is another one's then, although the lease is there. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Another holder has it from now on: begins to look after the key when he keeps it, as leaders do. */
  begin(): void {
    if (this.#isWatched) return
    clearTimeout(this.#timer)
    if (this.request.kind === 'election') void this.#watch()
    else this.#timer = setTimeout(() => void this.#watch(), watchAfterMs).unref()
  }

  /** The lock is given up, or was lost. */
  close(): void {
    clearTimeout(this.#timer)
    this.#closing.abort()
  }

  async #watch(): Promise<void> {
    this.#isWatched = true
    try {
      await this.key.untilGone(this.#closing.signal)
      this.#gone.abort(new Error('its key was deleted or overwritten'))
    } catch {
      // It was closed; or nothing can be watched, and the lease alone tells.
    }
  }
}
