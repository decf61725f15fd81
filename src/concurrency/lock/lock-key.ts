import { fullJitterMs } from '../../core/backoff.js'
import { isEtcdError, isPassing } from '../../core/errors.js'
import type { KeyRange } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { sleep } from '../../core/wait.js'
import { key, keys } from '../../kv/compare.js'
import { deleteKey, get, put, range } from '../../kv/operation.js'
import type { Txn } from '../../kv/txn.js'
import type { Watcher } from '../../watch/watcher.js'
import { ForeignKeyError } from './foreign-key-error.js'
import { oldestOf, placesOf } from './lock-place.js'

/** A part in a lease that is kept alive, as a lock needs it; see `Session`. */
export interface LockSession {
  readonly id: string
  readonly signal: AbortSignal
  readonly expiresAt: number
  isAlive(): boolean
  release(): void
  retire(): void
  revoke(): Promise<void>
}

/** What a lock's key is kept with. */
export interface LockStore {
  txn(): Txn
  watch(
    range: KeyRange,
    options: { readonly only?: 'delete'; readonly startRevision: number; readonly signal: AbortSignal },
  ): Watcher
}

/** A place in the queue of a lock: our key, and the keys that were created before it. */
interface Place {
  /** Everything up to this revision is taken into account. */
  readonly revision: number
  readonly ahead: Set<string>
}

const backoff = { baseMs: 25, maxMs: 1000 }

/**
 * The one key of this process in the queue of a lock, as Go's clientv3 writes it: `<name>/<lease>`, ordered by create
 * revision; the oldest holds the lock. So locks are shared with `etcdctl lock` and clients in other languages.
 *
 * Every transaction has a condition that it uses up, so that it can be repeated until it is known what came of it: what a
 * member applies late, since it was stopped meanwhile, changes nothing any more. Only a creation whose key was deleted
 * again could come back that way; see `mayReappear`.
 */
export class LockKey {
  readonly key: Buffer
  readonly session: LockSession
  readonly #queue: Buffer
  readonly #store: LockStore
  /** Whether the key may be there. */
  #mayExist = false
  /** A try to create it has failed with no word of what came of it. */
  #mayReappear = false
  #trouble: unknown
  #createRevision: number | undefined
  /** The revision of our last write to the key: another one for each holder in this process. */
  #modRevision = 0
  #value = ''

  /** `queue` is what the keys of the lock begin with: its name and a slash. */
  constructor(queue: Buffer, session: LockSession, store: LockStore) {
    this.#queue = queue
    this.#store = store
    this.session = session
    this.key = Buffer.concat([queue, Buffer.from(session.id)])
  }

  /** Set when the server may still create the key after it was deleted: then nobody must rely on its absence. */
  get mayReappear(): boolean {
    return this.#mayReappear
  }

  /** Why what is being done with it has to be tried again. */
  get trouble(): unknown {
    return this.#trouble
  }

  get createRevision(): number {
    return this.#createRevision ?? 0
  }

  get modRevision(): number {
    return this.#modRevision
  }

  get value(): string {
    return this.#value
  }

  /** Waits for its turn. Resolves with the fence: a revision at which the lock was ours, and before which it was not. */
  async acquire(value: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      const place = await this.#enqueue(value, signal)
      if (place.ahead.size === 0) return place.revision
      const fence = await this.#waitForTurn(place, signal)
      if (fence !== undefined) return fence
    }
  }

  /** Takes the lock if nobody has it. Resolves with the fence, or with the key of who holds it; then ours is not there. */
  async tryAcquire(value: string, signal: AbortSignal): Promise<number | KeyValue> {
    const queue = { prefix: this.#queue }
    const transaction = this.#store
      .txn()
      .if(keys(queue).createRevision.equals(0))
      .then(put(this.key, value, { lease: this.session.id }))
      .else(range(queue))
    const { succeeded, responses, revision } = await this.#create(() => transaction.commit(), signal)
    if (succeeded) {
      this.#isAt(revision, revision, value)
      return revision
    }
    const { kvs } = responses[0]
    const own = kvs.find((kv) => kv.key.equals(this.key))
    if (own === undefined) this.#mayExist = false
    else this.#adopt(own)
    const oldest = oldestOf(this.#queue, kvs)
    // The others are no places of this lock: only its queue shows whether it is free.
    if (oldest === undefined) return this.#tryInQueue(value, signal)
    if (oldest === own) return revision
    await this.leave()
    return oldest
  }

  /**
   * Writes `value`, if the key is still ours: to give the lock to another one in this process, or to tell others something
   * else. Resolves with the revision, which is the fence of the new holder; with `undefined` if the key is not ours.
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
        this.#isAt(this.createRevision, outcome.revision, value)
        return outcome.revision
      }
      const [found] = outcome.responses
      if (found === undefined || !this.#isOurs(found)) return undefined
      this.#isAt(found.createRevision, found.modRevision, found.value.toString())
      // Written by the try whose answer was lost.
      if (this.#value === value) return found.modRevision
    }
  }

  /** Resolves when the key is not there any more, or is not one of its lease: it stands for nobody then. */
  async untilGone(signal: AbortSignal): Promise<void> {
    for (let startRevision = this.#modRevision + 1; ; ) {
      try {
        for await (const { type, kv } of this.#store.watch({ key: this.key }, { startRevision, signal })) {
          if (type === 'delete' || kv.lease !== this.session.id) return
        }
      } catch (error) {
        if (!isEtcdError(error, 'COMPACTED')) throw error
      }
      const { responses, revision } = await this.#store.txn().then(get(this.key)).commit({ signal })
      if (!this.#isOurs(responses[0])) return
      startRevision = revision + 1
    }
  }

  /** Takes the key out of the queue, if it is still the one that was put there. */
  async leave(): Promise<void> {
    if (!this.#mayExist) return
    // Without a revision its creation was not answered: the key of this lease, whatever it is, is ours alone.
    const ours =
      this.#createRevision === undefined
        ? key(this.key).lease.equals(this.session.id)
        : key(this.key).createRevision.equals(this.#createRevision)
    await this.#settle(() => this.#store.txn().if(ours).then(deleteKey(this.key)).commit(), this.session.signal)
  }

  /** Deletes what was created late. To be called when nobody else comes to use the lease for this lock. */
  async sweep(): Promise<void> {
    const ours = key(this.key).lease.equals(this.session.id)
    await this.#store.txn().if(ours).then(deleteKey(this.key)).commit()
  }

  async #enqueue(value: string, signal: AbortSignal): Promise<Place> {
    // With their values: etcd 3.7 leaves the leases out together with them.
    const queue = range({ prefix: this.#queue })
    const transaction = this.#store
      .txn()
      .if(key(this.key).createRevision.equals(0))
      .then(put(this.key, value, { lease: this.session.id }), queue)
      .else(get(this.key), queue)
    const { succeeded, responses, revision } = await this.#create(() => transaction.commit(), signal)
    const [own, { kvs }] = responses
    if (succeeded) this.#isAt(revision, revision, value)
    else this.#adopt(own as KeyValue)
    const ahead = placesOf(this.#queue, kvs).filter(({ createRevision }) => createRevision < this.createRevision)
    return { revision, ahead: new Set(ahead.map((kv) => kv.key.toString('latin1'))) }
  }

  /** A place in the queue that is kept only if it is the first one. */
  async #tryInQueue(value: string, signal: AbortSignal): Promise<number | KeyValue> {
    const { revision, ahead } = await this.#enqueue(value, signal)
    if (ahead.size === 0) return revision
    await this.leave()
    return this.tryAcquire(value, signal)
  }

  /**
   * One watch shows the deletions of our key and of all before it in order: when the last of those goes and ours has not
   * gone before, the lock is ours from that revision on. Nothing is read again. Resolves with `undefined` when our place
   * is gone, or the history that tells of it.
   */
  async #waitForTurn({ revision, ahead }: Place, signal: AbortSignal): Promise<number | undefined> {
    const own = this.key.toString('latin1')
    const range = { prefix: this.#queue }
    const watcher = this.#store.watch(range, { only: 'delete', startRevision: revision + 1, signal })
    try {
      for await (const batch of watcher.batches()) {
        const gone = batch.events.map(({ kv }) => kv.key.toString('latin1'))
        if (gone.includes(own)) return undefined
        for (const other of gone) ahead.delete(other)
        if (ahead.size === 0) return batch.revision
      }
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error
    }
    return undefined
  }

  /**
   * Takes a key that was there already for ours if that is certain: it has our lease, which nobody else creates keys with,
   * and was created by us, as far as we know, or by an attempt of which we know nothing.
   */
  #adopt({ key, lease, createRevision, modRevision, value }: KeyValue): void {
    const isOurs = lease === this.session.id && (createRevision === this.#createRevision || this.#mayReappear)
    if (isOurs) {
      this.#isAt(createRevision, modRevision, value.toString())
      return
    }
    this.#mayExist = this.#mayReappear
    throw new ForeignKeyError(key)
  }

  #isOurs(found: KeyValue | undefined): boolean {
    return found?.createRevision === this.#createRevision && found?.lease === this.session.id
  }

  #isAt(createRevision: number, modRevision: number, value: string): void {
    this.#createRevision = createRevision
    this.#modRevision = modRevision
    this.#value = value
  }

  /** A call that is under way is not given up when `signal` aborts: its answer tells whether there is a key to delete. */
  #create<Result>(commit: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted()
    this.#mayExist = true
    const attempt = async (): Promise<Result> => {
      try {
        return await commit()
      } catch (error) {
        this.#mayReappear ||= !isEtcdError(error) || error.effect !== 'none'
        throw error
      }
    }
    return this.#settle(attempt, signal)
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
