import { type EncodedRange, overlap } from '../../core/key-range.js'
import { KeyValue } from '../../core/key-value.js'
import { LRUCache } from '../../core/lru.js'
import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'

/** Bounds of the read cache. */
export interface ReadCacheLimits {
  /** How old an answer may be, counted from when it was asked for. */
  readonly maxAgeMs: number
  readonly maxBytes: number
}

/** An answer without a call, and whose answer it was. */
export interface MemoryAnswer {
  readonly response: RangeResponse
  readonly endpoint: string | undefined
  readonly bytes: number
  /** It is of a copy that has not been confirmed lately: it may have been cut off from the cluster. */
  readonly isCutOff?: boolean | undefined
  /** Has a copy ask how far it is. */
  readonly catchUp?: (() => void) | undefined
}

/** A copy of some keys in this process that follows the cluster. */
export interface LocalCopy {
  /** The keys that it has. */
  readonly range: EncodedRange
  /** What a read within its range has to wait for before it is known whether the copy is cut off; `undefined` for nothing. */
  confirm(range: EncodedRange): Promise<void> | undefined
  /** The answer to a read within its range; `undefined` where it cannot tell, or not as of `revision` or later. */
  answer(request: RangeRequest, revision: number): MemoryAnswer | undefined
}

/** A read whose answer is to be kept, while it is under way. */
export interface Asking {
  readonly name: string
  readonly range: EncodedRange
  readonly askedAt: number
  /** A write of one of its keys by this client has ended meanwhile: its answer may be older than that. */
  isSpoilt: boolean
}

interface KeptAnswer extends MemoryAnswer {
  readonly range: EncodedRange
  readonly askedAt: number
}

const mostAnswers = 1000

/**
 * What this process remembers of the keys: copies that follow the cluster, and answers of a bounded age and size. What
 * this client has written itself is never missing from what it gives.
 */
export class ReadCache {
  readonly #limits: ReadCacheLimits | undefined
  /** The copies, and the newest revision at which this client has written one of their keys. */
  readonly #copies = new Map<LocalCopy, number>()
  readonly #asking = new Set<Asking>()
  readonly #answers: LRUCache<string, KeptAnswer>

  constructor(limits: ReadCacheLimits | undefined) {
    this.#limits = limits
    const maxSize = Math.max(1, limits?.maxBytes ?? 1)
    this.#answers = new LRUCache({ max: mostAnswers, maxSize, sizeCalculation: ({ bytes }) => Math.max(1, bytes) })
  }

  /** Whether there is anything that a write could make wrong. */
  get isInUse(): boolean {
    return this.#copies.size > 0 || this.#answers.size > 0 || this.#asking.size > 0
  }

  /** Lets reads be answered from a copy; returns what is to be called when it follows the cluster no more. */
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

  answer(request: RangeRequest, range: EncodedRange): MemoryAnswer | undefined {
    for (const [copy, revision] of this.#copies) {
      const answer = overlap(copy.range, range) ? copy.answer(request, revision) : undefined
      if (answer !== undefined) return answer
    }
    return this.#kept(request)
  }

  /** A read is about to be made whose answer may be kept. */
  ask(request: RangeRequest, range: EncodedRange): Asking | undefined {
    if (this.#limits === undefined) return undefined
    const asking = { name: nameOf(request), range, askedAt: performance.now(), isSpoilt: false }
    this.#asking.add(asking)
    return asking
  }

  /** The read has ended, with this answer if it has one. */
  asked(asking: Asking | undefined, answer: MemoryAnswer | undefined): void {
    if (asking === undefined) return
    this.#asking.delete(asking)
    if (answer === undefined || asking.isSpoilt) return
    const { name, range, askedAt } = asking
    this.#answers.set(name, { ...answer, response: copyOf(answer.response), range, askedAt })
  }

  /** A write of these keys by this client has ended: they are written, or may be where there is no `revision`. */
  wrote(range: EncodedRange, revision: number | undefined): void {
    for (const [name, answer] of this.#answers.entries()) if (overlap(answer.range, range)) this.#answers.delete(name)
    for (const asking of this.#asking) if (overlap(asking.range, range)) asking.isSpoilt = true
    if (revision === undefined) return
    for (const [copy, seen] of this.#copies) {
      if (revision > seen && overlap(copy.range, range)) this.#copies.set(copy, revision)
    }
  }

  /** The cluster is another one, or an older one, than before. */
  clear(): void {
    this.#answers.clear()
    for (const asking of this.#asking) asking.isSpoilt = true
    for (const copy of this.#copies.keys()) this.#copies.set(copy, 0)
  }

  #kept(request: RangeRequest): MemoryAnswer | undefined {
    if (this.#limits === undefined || this.#answers.size === 0) return undefined
    const name = nameOf(request)
    const kept = this.#answers.get(name)
    if (kept === undefined) return undefined
    if (performance.now() - kept.askedAt <= this.#limits.maxAgeMs) return { ...kept, response: copyOf(kept.response) }
    this.#answers.delete(name)
    return undefined
  }
}

/** What a read asks for, as a text to compare. */
function nameOf(request: RangeRequest): string {
  return methods.KV.Range.encode(request).toString('latin1')
}

/** Whoever is given an answer may change it. */
function copyOf(response: RangeResponse): RangeResponse {
  return { ...response, kvs: response.kvs.map((kv) => Object.assign(new KeyValue(), kv)) }
}
