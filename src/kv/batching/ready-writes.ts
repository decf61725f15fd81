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

  startQueueTimers(): void {
    for (const call of this.#calls) call.startQueueTimer()
  }

  /** Removes the oldest ones that fit into one group, at least one. */
  take(maxOps: number, maxBytes: number): TakenWrites<Request, Response> {
    const count = this.#fitting(maxOps, maxBytes)
    const calls = this.#calls.splice(0, count)
    for (const call of calls) call.stopQueueTimer()
    return { keys: this.#keys.splice(0, count), calls }
  }

  #fitting(maxOps: number, maxBytes: number): number {
    let bytes = 0
    for (const [index, call] of this.#calls.entries()) {
      bytes += operationBytes(call)
      if (index > 0 && (index >= maxOps || bytes > maxBytes)) return index
    }
    return this.#calls.length
  }
}
