import type { Route, Transport } from '../transport/transport.js'
import { BatchSize } from './batch-size.js'
import type { BatchedCall } from './batched-call.js'
import { CallGroup, type GroupKind } from './call-group.js'
import { copyRange } from './copy-range.js'
import { operationBytes } from './group-txn.js'

/** Bounds of a batch, and what may hold batches at all. */
export interface ReadLaneOptions {
  /** Most reads in a batch, as the servers' `--max-txn-ops`. */
  readonly maxOps: number
  /** Most bytes of requests in a batch. */
  readonly maxBytes: number
  /** Whether the members that serve this route can be given transactions of reads. */
  readonly servesBatches: (route: Route) => boolean
}

/** The size of answers that batches aim at: beyond it, reads of small values would wait for large ones. */
const answerTargetBytes = 256 * 1024
/** What an answer is taken to be before the first has come. */
const firstAnswerBytes = 8 * 1024
/** How quickly the average follows answers that get smaller; it follows larger ones at once. */
const averageShare = 0.2
/** Fewer transactions and single reads than this under way mean that nothing is short. */
const fewInFlight = 8

/**
 * Reads that may share a transaction, since they are served alike and by members of the same kind.
 *
 * What is asked for until the current tick of the event loop ends goes out together, and a read that finds itself alone
 * goes out as it is. While many answers are awaited, the wait is until the end of this turn of the loop, so that batches
 * grow with the load; no read ever waits for another one's answer. Batches shrink when one of their reads is refused,
 * since all have to be made again then, and where answers are large.
 */
export class ReadLane {
  readonly #inner: Transport
  readonly #kind: GroupKind & { readonly route: Route }
  readonly #options: ReadLaneOptions
  /** By what is asked for: reads of the same share an operation. */
  #pending = new Map<string, BatchedCall>()
  #inFlight = 0
  #averageBytes = firstAnswerBytes
  readonly #size: BatchSize

  constructor(inner: Transport, route: Route, options: ReadLaneOptions) {
    this.#inner = inner
    this.#kind = { repeatable: true, consistent: !route.serializable, route, copyAnswer: copyRange }
    this.#options = options
    this.#size = new BatchSize(options.maxOps)
  }

  join(call: BatchedCall): void {
    const asked = call.message.toString('latin1')
    const twin = this.#pending.get(asked)
    if (twin !== undefined) {
      twin.twins.push(call)
      return
    }
    if (this.#pending.size === 0) this.#schedule()
    this.#pending.set(asked, call)
  }

  #schedule(): void {
    // An immediate runs when all that has arrived is handled, and whoever it woke has asked for more.
    if (this.#inFlight < fewInFlight) process.nextTick(this.#flush)
    else setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const calls = [...this.#pending.values()]
    this.#pending = new Map()
    const limit = calls.length > 1 ? this.#limit() : 1
    let batch: BatchedCall[] = []
    let bytes = 0
    for (const call of calls) {
      if (call.isAbandoned) continue
      const callBytes = operationBytes(call)
      if (batch.length >= limit || (batch.length > 0 && bytes + callBytes > this.#options.maxBytes)) {
        void this.#send(batch)
        batch = []
        bytes = 0
      }
      batch.push(call)
      bytes += callBytes
    }
    if (batch.length > 0) void this.#send(batch)
  }

  #limit(): number {
    if (!this.#options.servesBatches(this.#kind.route)) return 1
    const fitting = Math.floor(answerTargetBytes / this.#averageBytes)
    return Math.max(1, Math.min(this.#size.now, fitting))
  }

  async #send(calls: readonly BatchedCall[]): Promise<void> {
    this.#inFlight += 1
    const [first] = calls
    if (calls.length === 1 && first?.twins.length === 0) await this.#sendAlone(first)
    else await this.#sendTogether(calls)
    this.#inFlight -= 1
  }

  async #sendAlone(call: BatchedCall): Promise<void> {
    const answer = await call.sendAlone(this.#inner)
    if (answer === undefined) return
    this.#measure(call.context.responseBytes)
    this.#size.succeeded(1)
  }

  async #sendTogether(calls: readonly BatchedCall[]): Promise<void> {
    const outcome = await new CallGroup(this.#inner, calls, this.#kind).send()
    if (outcome.kind === 'answered') {
      this.#measure(outcome.responseBytes / calls.length)
      this.#size.succeeded(calls.length)
    } else if (outcome.kind === 'refused') {
      this.#size.refused(calls.length, outcome.error)
      await outcome.rest
    }
  }

  #measure(bytes: number): void {
    const average = this.#averageBytes
    this.#averageBytes = bytes >= average ? bytes : average + (bytes - average) * averageShare
  }
}
