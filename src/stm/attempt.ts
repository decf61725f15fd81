import { InvalidArgumentError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe } from '../core/validate.js'
import { someKey } from '../kv/requests.js'
import type { CallOptions } from '../transport/transport.js'
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

/** What came of a commit: the revision, or the keys that were read as they are now. */
export type CommitOutcome =
  | { readonly succeeded: true; readonly revision: number }
  | { readonly succeeded: false; readonly now: Snapshot }

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

  /** Writes everything, if what the level asks for holds. Sent once: with a lost answer, its effect is unknown. */
  async commit(): Promise<CommitOutcome> {
    const { reads } = this
    const { comparesReads, isSnapshot } = this.#rules
    // What was read as of one revision needs no proof where nothing is written.
    if (!this.isWriting && (isSnapshot || !comparesReads)) return { succeeded: true, revision: reads.revision }
    const { keys } = reads
    const { succeeded, revision, responses } = await this.#store
      .txn()
      .if(...this.#comparisons())
      .then(...this.#writes.operations())
      .else(...reads.operations())
      .commit(this.#options())
    if (succeeded) return { succeeded, revision }
    return { succeeded, now: { revision, kvs: new Map(keys.map((key, index) => [idOf(key), responses[index]])) } }
  }

  #comparisons() {
    const { comparesReads, comparesWrites } = this.#rules
    const { reads } = this
    const ofReads = comparesReads ? reads.comparisons() : []
    // Without a read there is no moment that others could have come after.
    if (!comparesWrites || reads.revision === 0) return ofReads
    return [...ofReads, ...this.#writes.comparisons(reads.revision, (key) => reads.has(key))]
  }

  #assertRunning(done: string): void {
    if (!this.#isOver) return
    throw new InvalidArgumentError(`a key was ${done} by a run of stm() that is over: was an await forgotten?`)
  }
}
