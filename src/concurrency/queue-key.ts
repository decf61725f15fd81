import { fullJitterMs } from '../core/backoff.js'
import { isEtcdError, isPassing } from '../core/errors.js'
import type { KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { sleep } from '../core/wait.js'
import { type Comparison, key } from '../kv/compare.js'
import { deleteKey, get, type Operation, put, range } from '../kv/operation.js'
import type { Session } from '../lease/session.js'
import { batchesUntilCompacted, type KeyStore } from './concurrency-host.js'
import { deleteLateCreates } from './late-create-cleanup.js'

/** What `create()` resolves to: the keys of the ranges that it read, at one revision. */
export interface CreateResult {
  /** Whether the key exists. It does unless a condition did not hold. */
  readonly exists: boolean
  readonly revision: number
  readonly kvs: readonly KeyValue[]
}

const backoff = { baseMs: 25, maxMs: 1000 }

/**
 * The key that stands for one holder, waiter or participant, under a lease that is kept alive.
 *
 * Every transaction contains a compare that can succeed only once, so it is safe to repeat it until the outcome is known: a
 * request that a stopped member applies late changes nothing. The exception is a creation that is applied after the key was
 * deleted again: see `deleteLateCreates()`.
 */
export class QueueKey {
  readonly key: Buffer
  readonly session: Session
  readonly #store: KeyStore
  #mayExist = false
  /** A creation failed with an unknown effect: nobody may rely on the absence of the key until its lease ends. */
  #mayBeCreatedLate = false
  #lastError: unknown
  /** 0 until a creation is answered. */
  #createRevision = 0
  #modRevision = 0
  #valueText = ''

  constructor(key: Buffer, session: Session, store: KeyStore) {
    this.key = key
    this.session = session
    this.#store = store
  }

  get createRevision(): number {
    return this.#createRevision
  }

  /** The revision of the last write to the key by this process. */
  get modRevision(): number {
    return this.#modRevision
  }

  get valueText(): string {
    return this.#valueText
  }

  /** Why the current operation is being repeated; `undefined` if its last attempt succeeded. */
  get lastError(): unknown {
    return this.#lastError
  }

  /** Holds as long as the key exists. */
  get #exists(): Comparison {
    return key(this.key).createRevision.equals(this.#createRevision)
  }

  /** A lease's own key, of whatever revision. */
  get #hasOurLease(): Comparison {
    return key(this.key).lease.equals(this.session.id)
  }

  /**
   * Creates the key if `conditions` hold, unless it exists already, and reads `ranges` in the same transaction. A call in
   * flight is not cancelled when `signal` aborts: only its answer shows whether there is a key to delete.
   */
  async create(
    value: string,
    ranges: readonly KeyRange[],
    signal: AbortSignal,
    conditions: readonly Comparison[] = [],
  ): Promise<CreateResult> {
    // With values: a keys-only read of etcd 3.7 omits the leases, too.
    const reads = ranges.map((one) => range(one))
    const transaction = this.#store
      .txn()
      .if(key(this.key).missing(), ...conditions)
      .then(put(this.key, value, { lease: this.session.id }), ...reads)
      .else(get(this.key), ...reads)
    signal.throwIfAborted()
    this.#mayExist = true
    const outcome = await this.#settle(() => this.#tracked(transaction.commit()), signal)
    const { revision } = outcome
    const [, ...found] = outcome.responses
    const exists = outcome.succeeded || this.#adopt(outcome.responses[0], conditions.length > 0)
    if (outcome.succeeded) this.#isAt(revision, revision, value)
    return { exists, revision, kvs: found.flatMap(({ kvs }) => kvs) }
  }

  /**
   * Writes `value` if nobody else has written the key. Resolves with the revision, which is the fence of a new holder in this
   * process, or with `undefined` if the key is no longer ours.
   */
  async rewrite(value: string): Promise<number | undefined> {
    for (;;) {
      const transaction = this.#store
        .txn()
        .if(key(this.key).modRevision.equals(this.#modRevision))
        .then(put(this.key, value, { lease: this.session.id }))
        .else(get(this.key))
      const outcome = await this.#settle(() => transaction.commit(), this.session.signal)
      if (outcome.succeeded) {
        this.#isAt(this.#createRevision, outcome.revision, value)
        return outcome.revision
      }
      const [found] = outcome.responses
      if (found === undefined || !this.#isOurs(found)) return undefined
      this.#isAt(found.createRevision, found.modRevision, found.valueText)
      // Written by an attempt whose answer was lost.
      if (this.#valueText === value) return found.modRevision
    }
  }

  /** Runs `operations` if the key exists and `conditions` hold. Resolves with the revision, or with `undefined`. */
  async ifExists(
    operations: readonly Operation[],
    signal: AbortSignal,
    conditions: readonly Comparison[] = [],
  ): Promise<number | undefined> {
    const transaction = this.#store
      .txn()
      .if(this.#exists, ...conditions)
      .then(...operations)
    const { succeeded, revision } = await this.#settle(() => transaction.commit(), signal)
    return succeeded ? revision : undefined
  }

  /** Deletes the key if `condition` holds. Resolves with the keys of `ranges` if the key still exists. */
  async deleteIf(condition: Comparison, ranges: readonly KeyRange[]): Promise<readonly KeyValue[]> {
    const transaction = this.#store
      .txn()
      .if(this.#exists, condition)
      .then(deleteKey(this.key))
      .else(get(this.key), ...ranges.map((one) => range(one)))
    const outcome = await this.#settle(() => transaction.commit(), this.session.signal)
    if (outcome.succeeded) return []
    const [own, ...found] = outcome.responses
    return this.#isOurs(own) ? found.flatMap(({ kvs }) => kvs) : []
  }

  /** Resolves when the key is deleted, or overwritten without its lease: it then stands for nobody. */
  async whenDeleted(signal: AbortSignal): Promise<void> {
    for (let startRevision = this.#modRevision + 1; ; ) {
      for await (const { events } of batchesUntilCompacted(this.#store, this.key, { startRevision, signal })) {
        if (events.some(({ type, kv }) => type === 'delete' || kv.lease !== this.session.id)) return
      }
      // A watch outlasts an outage; the read after a compaction must, too.
      const reading = this.#store.txn().then(get(this.key))
      const { responses, revision } = await this.#settle(() => reading.commit({ signal }), signal)
      if (!this.#isOurs(responses[0])) return
      startRevision = revision + 1
    }
  }

  /**
   * Deletes the key, if it is still the one that was created, together with `others`, and releases the session. What cannot
   * be deleted ends with the lease. Never rejects.
   */
  async leave(others: readonly Operation[] = []): Promise<void> {
    const { session } = this
    // From now on, so that no other key comes to have this lease.
    if (this.#mayBeCreatedLate) session.retire()
    const isDeleted = await this.#delete(others).then(
      () => !this.#mayBeCreatedLate,
      () => false,
    )
    if (!isDeleted && session.isAlive()) {
      session.retire()
      deleteLateCreates(session, () => this.#store.txn().if(this.#hasOurLease).then(deleteKey(this.key)).commit())
    }
    session.release()
  }

  async #delete(others: readonly Operation[]): Promise<void> {
    if (!this.#mayExist || !this.session.isAlive()) return
    // A key whose creation was not answered has no known revision.
    const ours = this.#createRevision === 0 ? this.#hasOurLease : this.#exists
    const transaction = this.#store
      .txn()
      .if(ours)
      .then(deleteKey(this.key), ...others)
    await this.#settle(() => transaction.commit(), this.session.signal)
    this.#mayExist = false
  }

  /**
   * Takes an existing key for ours only if that is proved: it has our lease, and its create revision is ours or may come from
   * an attempt that was not answered. Returns `false` if there is no key and `mayBeMissing`.
   */
  #adopt(found: KeyValue | undefined, mayBeMissing: boolean): boolean {
    if (found === undefined && mayBeMissing) {
      this.#mayExist = false
      return false
    }
    const isKnown = found?.createRevision === this.#createRevision || this.#mayBeCreatedLate
    if (found === undefined || found.lease !== this.session.id || !isKnown) {
      this.#mayExist = this.#mayBeCreatedLate
      throw new ForeignKeyError(this.key)
    }
    this.#isAt(found.createRevision, found.modRevision, found.valueText)
    return true
  }

  #isOurs(found: KeyValue | undefined): boolean {
    return found?.createRevision === this.#createRevision && found?.lease === this.session.id
  }

  #isAt(createRevision: number, modRevision: number, valueText: string): void {
    this.#createRevision = createRevision
    this.#modRevision = modRevision
    this.#valueText = valueText
  }

  /** Remembers that a creation may be applied after its call has failed. */
  async #tracked<Result>(creating: Promise<Result>): Promise<Result> {
    try {
      return await creating
    } catch (error) {
      this.#mayBeCreatedLate ||= !isEtcdError(error) || error.effect !== 'none'
      throw error
    }
  }

  /** Repeats a transaction until its outcome is known. */
  async #settle<Result>(commit: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await commit()
        this.#lastError = undefined
        return result
      } catch (error) {
        if (signal.aborted || !this.session.isAlive() || !isPassing(error)) throw error
        this.#lastError = error
        await sleep(fullJitterMs(attempt, backoff), signal)
      }
    }
  }
}

/** Another client created the key: it has another lease, or exists although no attempt of ours can have created it. */
export class ForeignKeyError extends Error {
  override readonly name = 'ForeignKeyError'

  constructor(key: Uint8Array) {
    super(`the key ${Buffer.from(key).toString()} belongs to another client`)
  }
}
