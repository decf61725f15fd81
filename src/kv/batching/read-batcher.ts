import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import type { CallKind, Route, Transport } from '../../transport/transport.js'
import { Batch, type BatchOutcome } from './batch.js'
import { operationBytes, rangeOperation } from './batch-operation.js'
import { BatchSize } from './batch-size.js'
import type { BatchedCall } from './batched-call.js'

/** Bounds of a batch, and where batches are possible at all. */
export interface ReadBatcherOptions {
  /** Maximum number of reads in a batch, as the servers' `--max-txn-ops`. */
  readonly maxOps: number
  /** Maximum size of the requests in a batch. */
  readonly maxBytes: number
  /** Whether the members that serve this route take transactions of reads. */
  readonly servesBatches: (route: Route) => boolean
  /** The highest revision this client has seen. */
  readonly minRevision: () => number
}

type BatchedRead = BatchedCall<RangeRequest, RangeResponse>

/** A read in flight that others may join. */
interface SharedRead {
  readonly batch: Batch<RangeRequest, RangeResponse>
  readonly call: BatchedRead
  /** What the client had seen when it was sent: callers that have seen more do not join. */
  readonly minRevision: number
}

/** The size of responses that batches aim at: beyond it, reads of small values would wait for large ones. */
const targetResponseBytes = 256 * 1024
/** The size that a response is assumed to have before the first one has arrived. */
const initialResponseBytes = 8 * 1024
/** How quickly the average follows responses that get smaller; it follows larger ones at once. */
const averageShare = 0.2
/** With fewer transactions and single reads in flight than this, nothing is scarce. */
const fewInFlight = 8

/**
 * Reads that may share a transaction, since they are served in the same way and by members of the same kind.
 *
 * The reads requested before the current tick of the event loop ends are sent together; a single one is sent as it is.
 * While many responses are awaited, the batcher waits until the end of this turn of the loop, so that batches grow with
 * the load; no read ever waits for another one's response. Batches shrink when one of their reads is refused, since all
 * have to be repeated then, and where responses are large.
 */
export class ReadBatcher {
  readonly #transport: Transport
  readonly #kind: CallKind & { readonly route: Route }
  readonly #options: ReadBatcherOptions
  /** By the bytes of the request: equal reads share an operation. */
  #pending = new Map<string, BatchedRead>()
  /** Serializable reads alone, by the bytes of the request: a linearizable one must not see less than it could. */
  readonly #shared = new Map<string, SharedRead>()
  #inFlight = 0
  #averageBytes = initialResponseBytes
  readonly #size: BatchSize

  constructor(transport: Transport, route: Route, options: ReadBatcherOptions) {
    this.#transport = transport
    this.#kind = { repeatable: true, requiresFloor: !route.serializable, route }
    this.#options = options
    this.#size = new BatchSize(options.maxOps)
  }

  add(call: BatchedRead): void {
    const bytes = requestBytes(call)
    const equal = this.#pending.get(bytes)
    if (equal !== undefined) {
      equal.coalesce(call)
      return
    }
    if (this.#joinShared(bytes, call)) return
    if (this.#pending.size === 0) this.#schedule()
    this.#pending.set(bytes, call)
  }

  /** A serializable read that may not share a transaction; equal reads share it while it is in flight. */
  addAlone(call: BatchedRead): void {
    if (!this.#joinShared(requestBytes(call), call)) void this.#sendBatch([call])
  }

  #joinShared(bytes: string, call: BatchedRead): boolean {
    if (this.#shared.size === 0) return false
    const shared = this.#shared.get(bytes)
    if (shared === undefined || shared.minRevision < this.#options.minRevision()) return false
    return shared.batch.join(shared.call, call)
  }

  #schedule(): void {
    // An immediate runs when everything that has arrived is handled, and its receivers have requested more.
    if (this.#inFlight < fewInFlight) process.nextTick(this.#flush)
    else setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const calls = [...this.#pending.values()]
    this.#pending = new Map()
    const limit = calls.length > 1 ? this.#limit() : 1
    let batch: BatchedRead[] = []
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
    const fitting = Math.floor(targetResponseBytes / this.#averageBytes)
    return Math.max(1, Math.min(this.#size.current, fitting))
  }

  async #send(calls: readonly BatchedRead[]): Promise<void> {
    this.#inFlight += 1
    const [first, second] = calls
    const isAlone = second === undefined && first?.coalesced.length === 0 && !this.#kind.route.serializable
    if (isAlone) await this.#sendAlone(first)
    else await this.#sendTogether(calls)
    this.#inFlight -= 1
  }

  async #sendAlone(call: BatchedRead): Promise<void> {
    if (!(await call.sendAlone(this.#transport))) return
    this.#measure(call.context.progress.responseBytes)
    this.#size.succeeded(1)
  }

  async #sendTogether(calls: readonly BatchedRead[]): Promise<void> {
    const outcome = await this.#sendBatch(calls)
    if (outcome.kind === 'answered') {
      this.#measure(outcome.responseBytes / calls.length)
      this.#size.succeeded(calls.length)
    } else if (outcome.kind === 'refused') {
      this.#size.refused(calls.length, outcome.error)
      await outcome.rest
    }
  }

  async #sendBatch(calls: readonly BatchedRead[]): Promise<BatchOutcome> {
    const batch = new Batch(this.#transport, rangeOperation, calls, this.#kind)
    if (!this.#kind.route.serializable) return batch.send()
    const minRevision = this.#options.minRevision()
    const shared = calls.map((call) => [requestBytes(call), { batch, call, minRevision }] as const)
    for (const [bytes, read] of shared) this.#shared.set(bytes, read)
    const outcome = await batch.send()
    for (const [bytes, read] of shared) if (this.#shared.get(bytes) === read) this.#shared.delete(bytes)
    return outcome
  }

  #measure(bytes: number): void {
    const average = this.#averageBytes
    this.#averageBytes = bytes >= average ? bytes : average + (bytes - average) * averageShare
  }
}

/** A request as a key of maps. */
function requestBytes({ message }: BatchedRead): string {
  return message.toString('latin1')
}
