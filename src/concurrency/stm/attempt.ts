import { InvalidArgumentError, isEtcdError } from '../../core/errors.js'
import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { assertKnownOptions, describe } from '../../core/validate.js'
import type { Comparison } from '../../kv/compare.js'
import { get } from '../../kv/operation.js'
import { ownKey } from '../../kv/requests.js'
import type { CallOptions } from '../../transport/transport.js'
import type { IsolationRules } from './isolation.js'
import { idOf, ReadSet, type Snapshot, type StmStore } from './read-set.js'
import type { StmPutOptions, StmTransaction } from './stm-transaction.js'
import { WriteSet } from './write-set.js'

/** The parts of one run. */
export interface AttemptInit {
  readonly attempt: number
  readonly rules: IsolationRules
  readonly store: StmStore
  /** Values that are already known. */
  readonly known: Snapshot | undefined
  /** The time limit and the signal of the next call. */
  readonly options: () => CallOptions
}

/**
 * The outcome of a commit: the revision, or the current values of the keys of the run; `undefined` if the snapshot was compacted
 * before the commit could be sent.
 */
export type CommitOutcome =
  | { readonly succeeded: true; readonly revision: number }
  | { readonly succeeded: false; readonly now: Snapshot | undefined }

/** One run of the function of a software transaction: its reads, its writes, and their commit. */
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
    const bytes = keys.map(ownKey)
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

  /** The function has returned, or nobody waits for it any longer. */
  end(): void {
    this.#isOver = true
  }

  /** The keys that decide whether the run can be committed. */
  get keys(): Buffer[] {
    return [...this.reads.keys, ...this.#blindKeys()]
  }

  /** Writes everything, if the conditions of the isolation level hold. Not repeated after a lost answer: its effect is then unknown. */
  async commit(): Promise<CommitOutcome> {
    const { reads } = this
    const { comparesReads, isSnapshot } = this.#rules
    // Reads at one revision need no proof if nothing is written.
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
   * Every key that counts must still have the revision that it had in the snapshot, which may be 0. An upper bound would not do: a key
   * that was deleted meanwhile has revision 0, like one that never existed. Resolves with `undefined` if the snapshot is compacted.
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

  /** The keys that are written but were not read. Without a read there is no snapshot to compare with. */
  #blindKeys(): Buffer[] {
    if (!this.#rules.comparesWrites || this.reads.revision === 0) return []
    return this.#writes.keys.filter((key) => !this.reads.has(key))
  }

  #assertRunning(done: string): void {
    if (!this.#isOver) return
    throw new InvalidArgumentError(`a key was ${done} by a run of stm() that has ended: is an await missing?`)
  }
}
