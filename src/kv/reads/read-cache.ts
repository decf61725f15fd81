import { type EncodedRange, overlap, prefixRange } from '../../core/key-range.js'
import { LRUCache } from '../../core/lru.js'
import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { copyRange } from '../copy-range.js'

/** Bounds of the read cache. */
export interface ReadCacheLimits {
  /** Maximum age of an answer, counted from its request. */
  readonly maxAgeMs: number
  readonly maxBytes: number
}

/** An answer without a call, and the member that it came from. */
export interface CachedRead {
  readonly response: RangeResponse
  readonly endpoint: string | undefined
  readonly bytes: number
  /** It comes from a copy that has not been confirmed recently: the copy may be cut off from the cluster. */
  readonly isCutOff?: boolean | undefined
  /** Makes a copy request its progress. */
  readonly catchUp?: (() => void) | undefined
}

/** A copy of some keys in this process that follows the cluster. */
export interface LocalCopy {
  /** The keys that it has. */
  readonly range: EncodedRange
  /** What a read within its range has to wait for before it is known whether the copy is cut off; `undefined` for nothing. */
  confirm(range: EncodedRange): Promise<void> | undefined
  /** The answer to a read within its range; `undefined` if it has none, or none as of `revision` or later. */
  answer(request: RangeRequest, revision: number): CachedRead | undefined
}

/** A read in flight whose answer is to be kept. */
export interface PendingRead {
  readonly name: string
  readonly range: EncodedRange
  readonly requestedAt: number
  /** A write of one of its keys by this client has ended meanwhile: its answer may be older than that. */
  isInvalidated: boolean
}

interface KeptAnswer extends CachedRead {
  readonly range: EncodedRange
  readonly requestedAt: number
}

const maxAnswers = 1000
const everyKey = prefixRange(Buffer.alloc(0))

/**
 * What this process knows of the keys without a call: copies that follow the cluster, and answers of bounded age and size.
 * It never lacks what this client has written.
 */
export class ReadCache {
  readonly #limits: ReadCacheLimits | undefined
  /** The copies, and the newest revision at which this client has written one of their keys. */
  readonly #copies = new Map<LocalCopy, number>()
  readonly #pending = new Set<PendingRead>()
  readonly #answers: LRUCache<string, KeptAnswer>

  constructor(limits: ReadCacheLimits | undefined) {
    this.#limits = limits
    const maxSize = Math.max(1, limits?.maxBytes ?? 1)
    // The LRU cache allocates room for `max` answers at once.
    const max = limits === undefined ? 1 : maxAnswers
    this.#answers = new LRUCache({ max, maxSize, sizeCalculation: ({ bytes }) => Math.max(1, bytes) })
  }

  /** Whether a write has anything to invalidate. */
  get isInUse(): boolean {
    return this.#copies.size > 0 || this.#answers.size > 0 || this.#pending.size > 0
  }

  /** Lets reads be answered from a copy. Returns the function that removes the copy. */
  add(copy: LocalCopy): () => void {
    this.#copies.set(copy, 0)
    return () => this.#copies.delete(copy)
  }

  /** What a read has to wait for before it is known whether a copy that has its keys is cut off; `undefined` for nothing. */
  confirm(range: EncodedRange): Promise<void> | undefined {
    for (const copy of this.#copies.keys()) {
      const confirming = overlap(copy.range, range) ? copy.confirm(range) : undefined
      if (confirming !== undefined) return confirming
    }
    return undefined
  }

  answer(request: RangeRequest, range: EncodedRange): CachedRead | undefined {
    for (const [copy, revision] of this.#copies) {
      const answer = overlap(copy.range, range) ? copy.answer(request, revision) : undefined
      if (answer !== undefined) return answer
    }
    return this.#kept(request)
  }

  /** A read starts whose answer may be kept. */
  begin(request: RangeRequest, range: EncodedRange): PendingRead | undefined {
    if (this.#limits === undefined) return undefined
    const pending = { name: nameOf(request), range, requestedAt: performance.now(), isInvalidated: false }
    this.#pending.add(pending)
    return pending
  }

  /** The read has ended, with this answer or without one. */
  end(pending: PendingRead | undefined, answer: CachedRead | undefined): void {
    if (pending === undefined) return
    this.#pending.delete(pending)
    if (answer === undefined || pending.isInvalidated) return
    const { name, range, requestedAt } = pending
    this.#answers.set(name, { ...answer, response: copyRange(answer.response), range, requestedAt })
  }

  /** A write of these keys by this client has ended, at `revision`, or without one if it may have been applied. */
  invalidate(range: EncodedRange, revision: number | undefined): void {
    for (const [name, answer] of this.#answers.entries()) if (overlap(answer.range, range)) this.#answers.delete(name)
    for (const pending of this.#pending) if (overlap(pending.range, range)) pending.isInvalidated = true
    if (revision === undefined) return
    for (const [copy, seen] of this.#copies) {
      if (revision > seen && overlap(copy.range, range)) this.#copies.set(copy, revision)
    }
  }

  /** This client has revoked a lease: which keys it had, only the cluster knows. */
  invalidateEveryKey(revision: number | undefined): void {
    this.invalidate(everyKey, revision)
  }

  /** The cluster is another one, or an older one, than before. */
  clear(): void {
    this.#answers.clear()
    for (const pending of this.#pending) pending.isInvalidated = true
    for (const copy of this.#copies.keys()) this.#copies.set(copy, 0)
  }

  #kept(request: RangeRequest): CachedRead | undefined {
    if (this.#limits === undefined || this.#answers.size === 0) return undefined
    const name = nameOf(request)
    const kept = this.#answers.get(name)
    if (kept === undefined) return undefined
    if (performance.now() - kept.requestedAt <= this.#limits.maxAgeMs)
      return { ...kept, response: copyRange(kept.response) }
    this.#answers.delete(name)
    return undefined
  }
}

/** A request as a key of maps. */
function nameOf(request: RangeRequest): string {
  return methods.KV.Range.encode(request).toString('latin1')
}
