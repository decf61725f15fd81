import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
} from '../../protobuf/generated/messages.js'
import { DeadlineClock, type Expiring } from '../../transport/deadline-clock.js'
import type { CallKind, Transport } from '../../transport/transport.js'
import { Batch } from './batch.js'
import { deleteOperation, type OperationResponse, putOperation } from './batch-operation.js'
import { BatchSize } from './batch-size.js'
import type { BatchedCall } from './batched-call.js'
import { ReadyWrites } from './ready-writes.js'

/** Bounds of a group of writes. */
export interface WriteBatcherOptions {
  /** Maximum number of writes in a group, as the servers' `--max-txn-ops`. */
  readonly maxOps: number
  /** Maximum size of the requests in a group. */
  readonly maxBytes: number
}

/** Puts a write of one key among those that are ready. */
type MakeReady = () => void

/** A write that waits for the previous one of its key. */
interface QueuedWrite {
  readonly call: Expiring & { readonly isSettled: boolean }
  readonly makeReady: MakeReady
}

/** With this many groups in flight only full ones are sent; the others grow until one of these is answered. */
const fewInFlight = 4

const write: CallKind = Object.freeze({ requiresFloor: true, proposal: true })
const nothingQueued: QueuedWrite[] = []

/**
 * Writes of single keys on their way into groups. The writes of one key are sent in the order in which they were made,
 * each when the previous one has settled, so that a key never has two writes in flight. Deletions have separate groups: a
 * database that is full accepts them, but no puts.
 */
export class WriteBatcher {
  readonly #transport: Transport
  readonly #maxBytes: number
  readonly #size: BatchSize
  readonly #puts = new ReadyWrites<PutRequest, PutResponse>(putOperation)
  readonly #deletions = new ReadyWrites<DeleteRangeRequest, DeleteRangeResponse>(deleteOperation)
  /** By key that has a write ready or in flight, the writes behind that one. */
  readonly #queued = new Map<string, QueuedWrite[]>()
  readonly #deadlines = new DeadlineClock()
  #inFlight = 0
  #isScheduled = false

  constructor(transport: Transport, { maxOps, maxBytes }: WriteBatcherOptions) {
    this.#transport = transport
    this.#maxBytes = maxBytes
    this.#size = new BatchSize(maxOps)
  }

  addPut(key: string, call: BatchedCall<PutRequest, PutResponse>): void {
    this.#add(this.#puts, key, call)
  }

  addDeletion(key: string, call: BatchedCall<DeleteRangeRequest, DeleteRangeResponse>): void {
    this.#add(this.#deletions, key, call)
  }

  #add<Request, Response>(
    ready: ReadyWrites<Request, Response>,
    key: string,
    call: BatchedCall<Request, Response>,
  ): void {
    const queued = this.#queued.get(key)
    if (queued === undefined) {
      this.#queued.set(key, nothingQueued)
      ready.add(key, call)
      this.#schedule()
      return
    }
    const next = { call, makeReady: () => ready.add(key, call) }
    if (queued === nothingQueued) this.#queued.set(key, [next])
    else queued.push(next)
    this.#deadlines.add(call)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isScheduled = false
    while (this.#mayGo(this.#puts) || this.#mayGo(this.#deletions)) {
      if (!this.#mayGo(this.#deletions)) void this.#send(this.#puts)
      else if (this.#mayGo(this.#puts) && this.#puts.waitsSince < this.#deletions.waitsSince)
        void this.#send(this.#puts)
      else void this.#send(this.#deletions)
    }
    this.#puts.startDeadlines(this.#deadlines)
    this.#deletions.startDeadlines(this.#deadlines)
  }

  #mayGo({ size }: { readonly size: number }): boolean {
    return size > 0 && (this.#inFlight < fewInFlight || size >= this.#size.current)
  }

  async #send<Request, Response extends OperationResponse>(ready: ReadyWrites<Request, Response>): Promise<void> {
    const { keys, calls } = ready.take(this.#size.current, this.#maxBytes)
    this.#inFlight += 1
    for (const call of calls) this.#deadlines.delete(call)
    const open = calls.filter(({ isSettled }) => !isSettled)
    const [first, second] = open
    if (second !== undefined) await this.#sendTogether(ready, open)
    else if (first !== undefined && (await first.sendAlone(this.#transport))) this.#size.succeeded(1)
    this.#inFlight -= 1
    for (const key of keys) this.#release(key)
    if (this.#puts.size > 0 || this.#deletions.size > 0) this.#schedule()
  }

  async #sendTogether<Request, Response extends OperationResponse>(
    { operation }: ReadyWrites<Request, Response>,
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
    const queued = this.#queued.get(key) ?? nothingQueued
    let next = queued.shift()
    while (next?.call.isSettled === true) {
      this.#deadlines.delete(next.call)
      next = queued.shift()
    }
    if (next === undefined) this.#queued.delete(key)
    else next.makeReady()
  }
}
