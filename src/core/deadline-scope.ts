import { longestTimerMs, onAbort } from './abort.js'
import { halfJitterMs } from './backoff.js'
import { isPassing } from './errors.js'
import { notInTime, type Obstacle, sleep, type WaitBounds } from './wait.js'

const backoff = { baseMs: 50, maxMs: 1000 }

/**
 * One caller's wait for what takes several calls and watches, within one time for all of them. What fails in passing is
 * tried again until that time is over; then what stands in the way, or has failed last, is the reason that is given.
 */
export class DeadlineScope {
  readonly #abort = new AbortController()
  readonly #end: () => void
  #trouble: unknown

  /** `inVain` says that the time is over. */
  constructor({ signal, timeoutMs = Number.POSITIVE_INFINITY }: WaitBounds, inVain: string, obstacle: Obstacle) {
    const onTimeout = (): void => this.#abort.abort(notInTime(inVain, obstacle() ?? this.#trouble))
    const timer = timeoutMs > longestTimerMs ? undefined : setTimeout(onTimeout, timeoutMs)
    const removeListener = onAbort(signal, (reason) => this.#abort.abort(reason))
    this.#end = () => {
      clearTimeout(timer)
      removeListener()
    }
  }

  /** Aborts with the reason of the caller's own signal, or with the error that gives the reason why the time was in vain. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Makes a call that may be made again, as often as it takes. */
  async repeat<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted()
      try {
        const result = await call(signal)
        this.#trouble = undefined
        return result
      } catch (error) {
        signal.throwIfAborted()
        if (!isPassing(error)) throw error
        this.#trouble = error
        await sleep(halfJitterMs(attempt, backoff), signal)
      }
    }
  }

  /** Takes the timer and the listener off again. */
  end(): void {
    this.#end()
  }
}
