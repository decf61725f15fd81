import { longestTimerMs, onAbort } from './abort.js'
import { halfJitterMs } from './backoff.js'
import { isPassing } from './errors.js'
import { notInTime, type Obstacle, sleep, type WaitBounds } from './wait.js'

const backoff = { baseMs: 50, maxMs: 1000 }

/**
 * One deadline for an operation of several calls and watches. Transient failures are retried until the deadline; the error
 * then has the connection problem, or else the last failure, as its cause.
 */
export class DeadlineScope {
  readonly #abort = new AbortController()
  readonly #end: () => void
  #lastFailure: unknown

  /** @param message The message of the error at the deadline. */
  constructor({ signal, timeoutMs = Number.POSITIVE_INFINITY }: WaitBounds, message: string, obstacle: Obstacle) {
    const onTimeout = (): void => this.#abort.abort(notInTime(message, obstacle() ?? this.#lastFailure))
    const timer = timeoutMs > longestTimerMs ? undefined : setTimeout(onTimeout, timeoutMs)
    const removeListener = onAbort(signal, (reason) => this.#abort.abort(reason))
    this.#end = () => {
      clearTimeout(timer)
      removeListener()
    }
  }

  /** Aborts with the reason of the caller's signal, or at the deadline with its error. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Makes a call, and retries it after transient failures. */
  async repeat<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted()
      try {
        const result = await call(signal)
        this.#lastFailure = undefined
        return result
      } catch (error) {
        signal.throwIfAborted()
        if (!isPassing(error)) throw error
        this.#lastFailure = error
        await sleep(halfJitterMs(attempt, backoff), signal)
      }
    }
  }

  /** Removes the timer and the listener. */
  end(): void {
    this.#end()
  }
}
