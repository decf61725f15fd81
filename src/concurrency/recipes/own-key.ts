import { fullJitterMs } from '../../core/backoff.js'
import { isEtcdError, isPassing } from '../../core/errors.js'
import type { KeyRange } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { sleep } from '../../core/wait.js'
import { type Comparison, key } from '../../kv/compare.js'
import { deleteKey, get, type Operation, put, range } from '../../kv/operation.js'
import { ForeignKeyError } from '../lock/foreign-key-error.js'
import type { LockSession } from '../lock/lock-key.js'
import { sweepLater } from '../lock/sweep.js'
import type { RecipeStore } from './recipe-host.js'
import { ownName } from './unique-name.js'

/** What a creation found: the keys of a range, ours among them, as they were at one revision. */
export interface Created {
  readonly revision: number
  readonly kvs: readonly KeyValue[]
}

const backoff = { baseMs: 25, maxMs: 1000 }

/**
 * A key in a folder, with a name that nobody else has or can guess, under a lease that is kept alive. Every transaction has a condition that it uses
 * up, so that it can be repeated until it is known what came of it. Only a creation that a member applies after the key was
 * deleted again would come back: that is looked after until the lease is over.
 */
export class OwnKey {
  readonly name: string
  readonly session: LockSession
  readonly #store: RecipeStore
  /** 0 before its creation was answered. */
  #createRevision = 0
  #mayExist = false
  #mayReappear = false
  #trouble: unknown

  /** `folder` is what its name begins with, up to and with a slash. */
  constructor(folder: string, session: LockSession, store: RecipeStore) {
    this.name = `${folder}${ownName()}`
    this.session = session
    this.#store = store
  }

  get createRevision(): number {
    return this.#createRevision
  }

  /** Why what is being done with it has to be tried again. */
  get trouble(): unknown {
    return this.#trouble
  }

  /** Holds as long as the key is there. */
  get guard(): Comparison {
    return key(this.name).createRevision.equals(this.#createRevision)
  }

  /**
   * Puts the key there, unless it is, and reads the ranges `seen` with it. A call that is under way is not given up when `signal`
   * aborts: its answer tells whether there is a key to delete.
   */
  async create(value: string, seen: readonly KeyRange[], signal: AbortSignal): Promise<Created> {
    // With their values: etcd 3.7 leaves the leases out together with them.
    const ranges = seen.map((one) => range(one))
    const transaction = this.#store
      .txn()
      .if(key(this.name).missing())
      .then(put(this.name, value, { lease: this.session.id }), ...ranges)
      .else(get(this.name), ...ranges)
    signal.throwIfAborted()
    this.#mayExist = true
    const outcome = await this.#settle(async () => {
      try {
        return await transaction.commit()
      } catch (error) {
        this.#mayReappear ||= !isEtcdError(error) || error.effect !== 'none'
        throw error
      }
    }, signal)
    const { revision } = outcome
    const [, ...found] = outcome.responses
    if (outcome.succeeded) this.#createRevision = revision
    else this.#adopt(outcome.responses[0])
    return { revision, kvs: found.flatMap(({ kvs }) => kvs) }
  }

  /**
   * Takes a key that was there already for ours if that is certain: it has our lease, and was created by us, as far as we
   * know, or by an attempt of which we know nothing.
   */
  #adopt(found: KeyValue | undefined): void {
    const isKnown = found?.createRevision === this.#createRevision || this.#mayReappear
    if (found === undefined || found.lease !== this.session.id || !isKnown)
      throw new ForeignKeyError(Buffer.from(this.name))
    this.#createRevision = found.createRevision
  }

  /**
   * Does something if the key is still there, and `conditions` hold. Resolves with the revision; with `undefined` if it was not
   * done.
   */
  async whileThere(
    operations: readonly Operation[],
    signal: AbortSignal,
    conditions: readonly Comparison[] = [],
  ): Promise<number | undefined> {
    const transaction = this.#store
      .txn()
      .if(this.guard, ...conditions)
      .then(...operations)
    const { succeeded, revision } = await this.#settle(() => transaction.commit(), signal)
    return succeeded ? revision : undefined
  }

  /** Deletes it if `condition` holds. Resolves with what is in the ranges `seen` if it is there still. */
  async deleteIf(condition: Comparison, seen: readonly KeyRange[]): Promise<readonly KeyValue[]> {
    const transaction = this.#store
      .txn()
      .if(this.guard, condition)
      .then(deleteKey(this.name))
      .else(get(this.name), ...seen.map((one) => range(one)))
    const outcome = await this.#settle(() => transaction.commit(), this.session.signal)
    if (outcome.succeeded) return []
    const [own, ...found] = outcome.responses
    return own?.createRevision === this.#createRevision ? found.flatMap(({ kvs }) => kvs) : []
  }

  /** Resolves when the key is not there any more, or is not one of its lease: it stands for nobody then. */
  async untilGone(signal: AbortSignal): Promise<void> {
    for (let startRevision = this.#createRevision + 1; ; ) {
      try {
        for await (const { type, kv } of this.#store.watch(this.name, { startRevision, signal })) {
          if (type === 'delete' || kv.lease !== this.session.id) return
        }
      } catch (error) {
        if (!isEtcdError(error, 'COMPACTED')) throw error
      }
      const { responses, revision } = await this.#store.txn().then(get(this.name)).commit({ signal })
      if (responses[0]?.createRevision !== this.#createRevision || responses[0]?.lease !== this.session.id) return
      startRevision = revision + 1
    }
  }

  /** Deletes it, together with `others`, and gives the part in the lease back; what cannot be deleted ends with the lease. */
  async leave(others: readonly Operation[] = []): Promise<void> {
    const { session } = this
    let isGone = !this.#mayReappear
    try {
      if (this.#mayExist && session.isAlive()) await this.#delete(others)
    } catch {
      isGone = false
    }
    if (!isGone && session.isAlive()) {
      session.retire()
      sweepLater(this)
    }
    session.release()
  }

  /** Deletes what was created late. */
  async sweep(): Promise<void> {
    await this.#store.txn().if(this.#hasOurLease()).then(deleteKey(this.name)).commit()
  }

  async #delete(others: readonly Operation[]): Promise<void> {
    // Without a revision, its creation was not answered.
    const ours = this.#createRevision === 0 ? this.#hasOurLease() : this.guard
    const transaction = this.#store
      .txn()
      .if(ours)
      .then(deleteKey(this.name), ...others)
    await this.#settle(() => transaction.commit(), this.session.signal)
  }

  #hasOurLease(): Comparison {
    return key(this.name).lease.equals(this.session.id)
  }

  /** Repeats a transaction until it is known what came of it. */
  async #settle<Result>(commit: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await commit()
        this.#trouble = undefined
        return result
      } catch (error) {
        if (signal.aborted || !this.session.isAlive() || !isPassing(error)) throw error
        this.#trouble = error
        await sleep(fullJitterMs(attempt, backoff), signal)
      }
    }
  }
}
