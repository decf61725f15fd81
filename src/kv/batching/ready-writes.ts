import type { DeadlineClock } from '../../transport/deadline-clock.js'
import { type BatchOperation, operationBytes } from './batch-operation.js'
import type { BatchedCall } from './batched-call.js'

/** Writes that were taken to be sent, and the key of each. */
interface TakenWrites<Request, Response> {
  readonly keys: readonly string[]
  readonly calls: readonly BatchedCall<Request, Response>[]
}

/** Writes of one operation that may be sent now, oldest first, each of another key. */
export class ReadyWrites<Request, Response> {
  readonly operation: BatchOperation<Request, Response>
  readonly #keys: string[] = []
  readonly #calls: BatchedCall<Request, Response>[] = []
  /** This many of the calls have their deadline on the clock. */
  #timed = 0

  constructor(operation: BatchOperation<Request, Response>) {
    this.operation = operation
  }

  get size(): number {
    return this.#calls.length
  }

  /** When the oldest one was made; `Infinity` if there is none. */
  get waitsSince(): number {
    return this.#calls[0]?.context.startedAt ?? Number.POSITIVE_INFINITY
  }

  add(key: string, call: BatchedCall<Request, Response>): void {
    this.#keys.push(key)
    this.#calls.push(call)
  }

  /** Bounds the wait of those that are not sent in the tick in which they were made. Once they are, the transport does. */
  startDeadlines(clock: DeadlineClock): void {
    for (const call of this.#calls.slice(this.#timed)) clock.add(call)
    this.#timed = this.#calls.length
  }

  /** Removes the oldest ones that fit into one group, at least one. */
  take(maxOps: number, maxBytes: number): TakenWrites<Request, Response> {
    const count = this.#fitting(maxOps, maxBytes)
    this.#timed = Math.max(0, this.#timed - count)
    return { keys: this.#keys.splice(0, count), calls: this.#calls.splice(0, count) }
  }

  #fitting(maxOps: number, maxBytes: number): number {
    let bytes = 0
    let count = 0
    for (const call of this.#calls) {
      bytes += operationBytes(call)
      if (count > 0 && (count >= maxOps || bytes > maxBytes)) break
      count += 1
    }
    return count
  }
}
