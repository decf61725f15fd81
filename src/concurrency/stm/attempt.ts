import { InvalidArgumentError, isEtcdError } from '../../core/errors.js'
import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { assertKnownOptions, describe } from '../../core/validate.js'
import type { Comparison } from '../../kv/compare.js'
import { get } from '../../kv/operation.js'
import { someKey } from '../../kv/requests.js'
import type { CallOptions } from '../../transport/transport.js'
import type { IsolationRules } from './isolation.js'
import { idOf, ReadSet, type Snapshot, type StmStore } from './read-set.js'
import type { StmPutOptions, StmTransaction } from './stm-transaction.js'
import { WriteSet } from './write-set.js'

/** What one run works with. */
export interface AttemptInit {
  readonly attempt: number
  readonly rules: IsolationRules
  readonly store: StmStore
  /** Values that are at hand. */
  readonly known: Snapshot | undefined
  /** Bounds of the next call. */
  readonly options: () => CallOptions
}

/**
 * What came of a commit: the revision, or the keys of the run as they are now; `undefined` where the snapshot was compacted
 * before the commit could be sent.
 */
export type CommitOutcome =
  | { readonly succeeded: true; readonly revision: number }
  | { readonly succeeded: false; readonly now: Snapshot | undefined }

/** One run of the function of a software transaction: what it reads and writes, and the commit of that. */
export class Attempt implements StmTransaction {
  readonly attempt: number
  readonly reads: ReadSet
  readonly #rules: IsolationRules
  readonly #store: StmStore
  readonly #options: () => CallOptions
  readonly #writes = new WriteSet()
  #isOver = false

  constructor({ attempt, rules, store, known, options }: AttemptInit) {
    this.attempt = attempt
    this.#rules = rules
    this.#store = store
    this.#options = options
    this.reads = new ReadSet(store, rules.isSnapshot, known, options)
  }

  get isWriting(): boolean {
    return this.#writes.size > 0
  }

  async get(key: Bytes): Promise<KeyValue | undefined> {
    const [kv] = await this.getAll([key])
    return kv
  }

  async getAll(keys: readonly Bytes[]): Promise<(KeyValue | undefined)[]> {
    this.#assertRunning('read')
    if (!Array.isArray(keys)) throw new InvalidArgumentError(`\`keys\` must be an array, got ${describe(keys)}`)
    const bytes = keys.map(someKey)
    const written = bytes.map((key) => this.#writes.get(key))
    const unwritten = bytes.filter((_, index) => written[index] === undefined)
    const read = (await this.reads.read(unwritten)).values()
    return written.map((write) => (write === undefined ? read.next().value : write.kv))
  }

  put(key: Bytes, value: Bytes, options: StmPutOptions = {}): void {
    this.#assertRunning('written')
    assertKnownOptions('put()', options, ['lease', 'ignoreLease'])
    this.#writes.put(key, value, options)
  }

  delete(key: Bytes): void {
    this.#assertRunning('deleted')
    this.#writes.delete(key)
  }

  /** The function has returned, or is not waited for any longer. */
  end(): void {
    this.#isOver = true
  }

  /** The keys that decide whether it can be committed. */
  get keys(): Buffer[] {
    return [...this.reads.keys, ...this.#blindKeys()]
  }

  /** Writes everything, if what the level asks for holds. Sent once: with a lost answer, its effect is unknown. */
  async commit(): Promise<CommitOutcome> {
    const { reads } = this
    const { comparesReads, isSnapshot } = this.#rules
    // What was read as of one revision needs no proof where nothing is written.
    if (!this.isWriting && (isSnapshot || !comparesReads)) return { succeeded: true, revision: reads.revision }
    const unchanged = await this.#comparisons()
    return unchanged === undefined ? { succeeded: false, now: undefined } : this.#commitIf(unchanged)
  }

  async #commitIf(unchanged: readonly Comparison[]): Promise<CommitOutcome> {
    const { keys } = this
    const { succeeded, revision, responses } = await this.#store
      .txn()
      .if(...unchanged)
      .then(...this.#writes.operations())
      .else(...keys.map((key) => get(key)))
      .commit(this.#options())
    if (succeeded) return { succeeded, revision }
    return { succeeded, now: { revision, kvs: new Map(keys.map((key, index) => [idOf(key), responses[index]])) } }
  }

  /**
   * Every key that counts still has the revision that it had in the snapshot, be it 0. No bound can stand for that: a key
   * that was deleted meanwhile has 0 as well as one that never was. Resolves with `undefined` if the snapshot is compacted.
   */
  async #comparisons(): Promise<readonly Comparison[] | undefined> {
    const ofReads = this.#rules.comparesReads ? this.reads.comparisons() : []
    const blind = this.#blindKeys()
    if (blind.length === 0) return ofReads
    try {
      return [...ofReads, ...(await this.reads.comparisonsOf(blind))]
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error
      return undefined
    }
  }

  /** The keys that are written without having been read. Without a read there is no moment that others could come after. */
  #blindKeys(): Buffer[] {
    if (!this.#rules.comparesWrites || this.reads.revision === 0) return []
    return this.#writes.keys.filter((key) => !this.reads.has(key))
  }

  #assertRunning(done: string): void {
    if (!this.#isOver) return
    throw new InvalidArgumentError(`a key was ${done} by a run of stm() that is over: was an await forgotten?`)
  }
}
