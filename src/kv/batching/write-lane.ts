import type { Transport } from '../../transport/transport.js'
import { BatchSize } from './batch-size.js'
import type { BatchedCall } from './batched-call.js'
import { CallGroup, type GroupKind } from './call-group.js'
import { operationBytes } from './group-txn.js'

/** Bounds of a group of writes. */
export interface WriteLaneOptions {
  /** Most writes in a group, as the servers' `--max-txn-ops`. */
  readonly maxOps: number
  /** Most bytes of requests in a group. */
  readonly maxBytes: number
}

/** Groups under way beyond which only full ones are sent; the others grow until one of these is answered. */
const fewInFlight = 4

const kind: GroupKind = { requiresFloor: true, proposal: true, copyAnswer: (answer) => answer }

/**
 * Writes of single keys on their way into groups. Writes of one key are sent in the order in which they were made, each
 * when the one before it has settled, so that a key is never twice under way. Deletions have groups of their own: a
 * database that is full takes them, but no puts.
 */
export class WriteLane {
  readonly #inner: Transport
  readonly #maxBytes: number
  readonly #size: BatchSize
  /** The next write of each key that has none under way, in the order in which they came to be. */
  readonly #ready = new Map<string, BatchedCall>()
  /** By key, the writes behind the one that is ready or under way. */
  readonly #behind = new Map<string, BatchedCall[]>()
  /** The keys that have a write under way. */
  readonly #busy = new Set<string>()
  #inFlight = 0
  #isScheduled = false

  constructor(inner: Transport, { maxOps, maxBytes }: WriteLaneOptions) {
    this.#inner = inner
    this.#maxBytes = maxBytes
    this.#size = new BatchSize(maxOps)
  }

  join(key: string, call: BatchedCall): void {
    if (!this.#busy.has(key) && !this.#ready.has(key)) {
      this.#ready.set(key, call)
      this.#schedule()
      return
    }
    const behind = this.#behind.get(key)
    if (behind === undefined) this.#behind.set(key, [call])
    else behind.push(call)
    call.queued()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isScheduled = false
    while (this.#ready.size > 0 && (this.#inFlight < fewInFlight || this.#ready.size >= this.#size.now)) {
      void this.#send(this.#take())
    }
    for (const call of this.#ready.values()) call.queued()
  }

  /** The oldest write that is ready, and all of its kind that fit into a group with it. */
  #take(): ReadonlyMap<string, BatchedCall> {
    const group = new Map<string, BatchedCall>()
    let tag: BatchedCall['tag'] | undefined
    let bytes = 0
    for (const [key, call] of this.#ready) {
      tag ??= call.tag
      if (call.tag !== tag) continue
      bytes += operationBytes(call)
      if (group.size > 0 && (group.size >= this.#size.now || bytes > this.#maxBytes)) break
      this.#ready.delete(key)
      this.#busy.add(key)
      call.taken()
      group.set(key, call)
    }
    return group
  }

  async #send(group: ReadonlyMap<string, BatchedCall>): Promise<void> {
    this.#inFlight += 1
    const calls = [...group.values()].filter(({ isSettled }) => !isSettled)
    const [first, second] = calls
    if (second !== undefined) await this.#sendTogether(calls)
    else if (first !== undefined && (await first.sendAlone(this.#inner))) this.#size.succeeded(1)
    this.#inFlight -= 1
    for (const key of group.keys()) this.#release(key)
    if (this.#ready.size > 0) this.#schedule()
  }

  async #sendTogether(calls: readonly BatchedCall[]): Promise<void> {
    const outcome = await new CallGroup(this.#inner, calls, kind).send()
    if (outcome.kind === 'answered') this.#size.succeeded(calls.length)
    else if (outcome.kind === 'refused') {
      this.#size.refused(calls.length, outcome.error)
      await outcome.rest
    }
  }

  /** The write of a key that was under way has settled: the one behind it is next. */
  #release(key: string): void {
    this.#busy.delete(key)
    const behind = this.#behind.get(key)
    if (behind === undefined) return
    let next = behind.shift()
    while (next?.isSettled === true) next = behind.shift()
    if (behind.length === 0) this.#behind.delete(key)
    if (next !== undefined) this.#ready.set(key, next)
  }
}
