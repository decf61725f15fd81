import type { Route, Transport } from '../../transport/transport.js'
import { BatchSize } from './batch-size.js'
import type { BatchedCall } from './batched-call.js'
import { CallGroup, type GroupKind, type GroupOutcome } from './call-group.js'
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
  /** The highest revision this client has seen. */
  readonly floor: () => number
}

/** A read under way that others may join. */
interface UnderWay {
  readonly group: CallGroup
  readonly call: BatchedCall
  /** What the client had seen when it was sent: those who have seen more do not join. */
  readonly floor: number
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
  /** By what is asked for; of serializable reads alone, since a linearizable one may not see less than it could. */
  readonly #underWay = new Map<string, UnderWay>()
  #inFlight = 0
  #averageBytes = firstAnswerBytes
  readonly #size: BatchSize

  constructor(inner: Transport, route: Route, options: ReadLaneOptions) {
    this.#inner = inner
    this.#kind = { repeatable: true, requiresFloor: !route.serializable, route, copyAnswer: copyRange }
    this.#options = options
    this.#size = new BatchSize(options.maxOps)
  }

  join(call: BatchedCall): void {
    const asked = askedBy(call)
    const twin = this.#pending.get(asked)
    if (twin !== undefined) {
      twin.addTwin(call)
      return
    }
    if (this.#joinUnderWay(asked, call)) return
    if (this.#pending.size === 0) this.#schedule()
    this.#pending.set(asked, call)
  }

  /** A serializable read that may not share a transaction; those who ask for the same share it while it is under way. */
  joinAlone(call: BatchedCall): void {
    if (!this.#joinUnderWay(askedBy(call), call)) void this.#sendGroup([call])
  }

  #joinUnderWay(asked: string, call: BatchedCall): boolean {
    const underWay = this.#underWay.get(asked)
    if (underWay === undefined || underWay.floor < this.#options.floor()) return false
    return underWay.group.join(underWay.call, call)
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
    const [first, second] = calls
    const isAlone = second === undefined && first?.twins.length === 0 && !this.#kind.route.serializable
    if (isAlone) await this.#sendAlone(first)
    else await this.#sendTogether(calls)
    this.#inFlight -= 1
  }

  async #sendAlone(call: BatchedCall): Promise<void> {
    const answer = await call.sendAlone(this.#inner)
    if (answer === undefined) return
    this.#measure(call.context.progress.responseBytes)
    this.#size.succeeded(1)
  }

  async #sendTogether(calls: readonly BatchedCall[]): Promise<void> {
    const outcome = await this.#sendGroup(calls)
    if (outcome.kind === 'answered') {
      this.#measure(outcome.responseBytes / calls.length)
      this.#size.succeeded(calls.length)
    } else if (outcome.kind === 'refused') {
      this.#size.refused(calls.length, outcome.error)
      await outcome.rest
    }
  }

  async #sendGroup(calls: readonly BatchedCall[]): Promise<GroupOutcome> {
    const group = new CallGroup(this.#inner, calls, this.#kind)
    if (!this.#kind.route.serializable) return group.send()
    const floor = this.#options.floor()
    const asked = calls.map(askedBy)
    calls.forEach((call, index) => {
      this.#underWay.set(asked[index] ?? '', { group, call, floor })
    })
    const outcome = await group.send()
    for (const one of asked) if (this.#underWay.get(one)?.group === group) this.#underWay.delete(one)
    return outcome
  }

  #measure(bytes: number): void {
    const average = this.#averageBytes
    this.#averageBytes = bytes >= average ? bytes : average + (bytes - average) * averageShare
  }
}

/** What a read asks for, as a text to compare. */
function askedBy({ message }: BatchedCall): string {
  return message.toString('latin1')
}
