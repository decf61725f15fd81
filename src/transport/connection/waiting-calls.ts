import { longestTimerMs } from '../../core/abort.js'
import { Waiters } from '../../core/waiter.js'
import type { CallContext } from '../transport.js'
import type { Connection } from './connection.js'

/** Calls that wait for a connection. */
export class WaitingCalls {
  readonly #waiting = new Waiters<Connection, CallContext>()

  /** Waits at most `waitMs`, after which it rejects with the error that `timedOut` makes, or until the call's signal aborts. */
  wait(context: CallContext, waitMs: number, timedOut: () => unknown): Promise<Connection> {
    return this.#waiting.wait(context, {
      signal: context.signal,
      // Only this timer holds the process open while the call waits, hence there is one even without a bound.
      timeoutMs: Math.min(waitMs, longestTimerMs),
      onTimeout: (waiter) => waiter.reject(timedOut()),
    })
  }

  /** Resolves each call for which there is a connection now. */
  serve(pick: (context: CallContext) => Connection | undefined): void {
    for (const [waiter, context] of this.#waiting) {
      const connection = pick(context)
      if (connection !== undefined) waiter.resolve(connection)
    }
  }

  /** Fails all waiting calls, each with a separate error. */
  fail(reason: () => unknown): void {
    for (const [waiter] of this.#waiting) waiter.reject(reason())
  }
}
