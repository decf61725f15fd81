import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
} from '../../protobuf/generated/messages.js'
import type { CallKind, Transport } from '../../transport/transport.js'
import { Batch } from './batch.js'
import {
  type BatchOperation,
  deleteOperation,
  type OperationResponse,
  operationBytes,
  putOperation,
} from './batch-operation.js'
import { BatchSize } from './batch-size.js'
import { type BatchedCall, isOperation } from './batched-call.js'

/** Bounds of a group of writes. */
export interface WriteBatcherOptions {
  /** Maximum number of writes in a group, as the servers' `--max-txn-ops`. */
  readonly maxOps: number
  /** Maximum size of the requests in a group. */
  readonly maxBytes: number
}

/** A write of one key. */
export type BatchedWrite = BatchedCall<PutRequest, PutResponse> | BatchedCall<DeleteRangeRequest, DeleteRangeResponse>

/** With this many groups in flight only full ones are sent; the others grow until one of these is answered. */
const fewInFlight = 4

const write: CallKind = Object.freeze({ requiresFloor: true, proposal: true })

/**
 * Writes of single keys on their way into groups. The writes of one key are sent in the order in which they were made,
 * each when the previous one has settled, so that a key never has two writes in flight. Deletions have separate groups: a
 * database that is full accepts them, but no puts.
 */
export class WriteBatcher {
  readonly #transport: Transport
  readonly #maxBytes: number
  readonly #size: BatchSize
  /** The next write of each key that has none in flight, oldest first. */
  readonly #ready = new Map<string, BatchedWrite>()
  /** By key, the writes behind the one that is ready or in flight. */
  readonly #queued = new Map<string, BatchedWrite[]>()
  /** The keys that have a write in flight. */
  readonly #busy = new Set<string>()
  #inFlight = 0
  #isScheduled = false

  constructor(transport: Transport, { maxOps, maxBytes }: WriteBatcherOptions) {
    this.#transport = transport
    this.#maxBytes = maxBytes
    this.#size = new BatchSize(maxOps)
  }

  add(key: string, call: BatchedWrite): void {
    if (!this.#busy.has(key) && !this.#ready.has(key)) {
      this.#ready.set(key, call)
      this.#schedule()
      return
    }
    const queued = this.#queued.get(key)
    if (queued === undefined) this.#queued.set(key, [call])
    else queued.push(call)
    call.startQueueTimer()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isScheduled = false
    for (const oldest of this.#ready.values()) {
      if (this.#inFlight >= fewInFlight && this.#ready.size < this.#size.current) break
      if (isOperation(oldest, putOperation)) void this.#send(putOperation)
      else void this.#send(deleteOperation)
    }
    for (const call of this.#ready.values()) call.startQueueTimer()
  }

  async #send<Request, Response extends OperationResponse>(
    operation: BatchOperation<Request, Response>,
  ): Promise<void> {
    const group = this.#take(operation)
    this.#inFlight += 1
    const calls = [...group.values()].filter(({ isSettled }) => !isSettled)
    const [first, second] = calls
    if (second !== undefined) await this.#sendTogether(operation, calls)
    else if (first !== undefined && (await first.sendAlone(this.#transport))) this.#size.succeeded(1)
    this.#inFlight -= 1
    for (const key of group.keys()) this.#release(key)
    if (this.#ready.size > 0) this.#schedule()
  }

  /** Takes the ready writes of an operation that fit into one group, oldest first. */
  #take<Request, Response>(
    operation: BatchOperation<Request, Response>,
  ): ReadonlyMap<string, BatchedCall<Request, Response>> {
    const group = new Map<string, BatchedCall<Request, Response>>()
    let bytes = 0
    for (const [key, call] of this.#ready) {
      if (!isOperation(call, operation)) continue
      bytes += operationBytes(call)
      if (group.size > 0 && (group.size >= this.#size.current || bytes > this.#maxBytes)) break
      this.#ready.delete(key)
      this.#busy.add(key)
      call.stopQueueTimer()
      group.set(key, call)
    }
    return group
  }

  async #sendTogether<Request, Response extends OperationResponse>(
    operation: BatchOperation<Request, Response>,
    calls: readonly BatchedCall<Request, Response>[],
  ): Promise<void> {
    const outcome = await new Batch(this.#transport, operation, calls, write).send()
    if (outcome.kind === 'answered') this.#size.succeeded(calls.length)
    else if (outcome.kind === 'refused') {
      this.#size.refused(calls.length, outcome.error)
      await outcome.rest
    }
  }

  /** The write of a key has settled: the one queued behind it is next. */
  #release(key: string): void {
    this.#busy.delete(key)
    const queued = this.#queued.get(key)
    if (queued === undefined) return
    let next = queued.shift()
    while (next?.isSettled === true) next = queued.shift()
    if (queued.length === 0) this.#queued.delete(key)
    if (next !== undefined) this.#ready.set(key, next)
  }
}
