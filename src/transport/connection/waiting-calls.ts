import { longestTimerMs } from '../../core/abort.js'
import type { CallContext } from '../transport.js'
import type { Connection } from './connection.js'

interface WaitingCall {
  readonly context: CallContext
  readonly resolve: (connection: Connection) => void
  readonly fail: (reason: unknown) => void
}

/** Calls that wait for a connection. */
export class WaitingCalls {
  readonly #waiting = new Set<WaitingCall>()

  /** Waits no longer than `waitMs` and the call's signal allow. `onTimeout` makes the error of one that is over. */
  wait(context: CallContext, waitMs: number, onTimeout: () => unknown): Promise<Connection> {
    const { signal } = context
    return new Promise((resolve, reject) => {
      // The one thing that holds the process open while the call waits, hence there is a timer even without a bound.
      const timer = setTimeout(() => waiter.fail(onTimeout()), Math.min(waitMs, longestTimerMs))
      const leave = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#waiting.delete(waiter)
      }
      const waiter: WaitingCall = {
        context,
        resolve: (connection) => {
          leave()
          resolve(connection)
        },
        fail: (reason) => {
          leave()
          reject(reason)
        },
      }
      const onAbort = (): void => waiter.fail(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiter)
    })
  }

  /** Gives a connection to each call for which there is one now. */
  serve(pick: (context: CallContext) => Connection | undefined): void {
    for (const waiter of this.#waiting) {
      const connection = pick(waiter.context)
      if (connection !== undefined) waiter.resolve(connection)
    }
  }

  /** Fails all of them, each with its own reason. */
  fail(reason: () => unknown): void {
    for (const waiter of this.#waiting) waiter.fail(reason())
  }
}
