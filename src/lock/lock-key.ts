import { sleep } from '../core/abort.js'
import { fullJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import type { KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { type Comparison, key, keys } from '../kv/compare.js'
import { del, get, put, range } from '../kv/operation.js'
import type { Txn } from '../kv/txn.js'
import type { CallOptions } from '../transport/transport.js'
import type { Watcher } from '../watch/watcher.js'
import { type LockHolder, LockLostError } from './lock-errors.js'

/** A part in a lease that is kept alive, as a lock needs it; see `Session`. */
export interface LockSession {
  readonly id: string
  readonly signal: AbortSignal
  readonly expiresAt: number
  isAlive(): boolean
  release(): void
  revoke(): Promise<void>
}

/** What a lock's key is kept with. */
export interface LockStore {
  txn(): Txn
  watch(
    range: KeyRange,
    options: { readonly only: 'delete'; readonly startRevision: number; readonly signal: AbortSignal },
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
 */
export class LockKey {
  readonly key: string
  readonly session: LockSession
  readonly #name: string
  readonly #store: LockStore
  #createRevision = 0
  /** The revision of our last write to the key: another one for each holder in this process. */
  #modRevision = 0

  constructor(name: string, session: LockSession, store: LockStore) {
    this.#name = name
    this.#store = store
    this.session = session
    this.key = `${name}/${session.id}`
  }

  /** Holds as long as the lock is with its present holder: for transactions that must not run after that. */
  get guard(): Comparison {
    return key(this.key).modRevision.equals(this.#modRevision)
  }

  get createRevision(): number {
    return this.#createRevision
  }

  /** Waits for its turn. Resolves with the fence: the revision at which the lock became ours. */
  async acquire(value: string, options: { readonly signal: AbortSignal }): Promise<number> {
    const place = await this.#enqueue(value, options)
    return place.ahead.size === 0 ? this.#createRevision : this.#waitForTurn(place, options.signal)
  }

  /** Takes the lock if nobody has it. Resolves with the fence, or with who holds it; then nothing was written. */
  async tryAcquire(value: string, options: CallOptions): Promise<number | LockHolder> {
    const queue = { prefix: `${this.#name}/` }
    const oldest = range(queue, { limit: 1, sort: { target: 'createRevision' } })
    const lease = this.session.id
    const transaction = this.#store
      .txn()
      .if(keys(queue).createRevision.equals(0))
      .then(put(this.key, value, { lease }))
      .else(get(this.key), oldest)
    const { succeeded, responses, revision } = await this.#settle(() => transaction.commit(options), options.signal)
    if (succeeded) {
      this.#createRevision = revision
      this.#modRevision = revision
      return revision
    }
    const [own, { kvs }] = responses
    const [holder] = kvs
    // Our own key, of an attempt whose answer was lost.
    if (own !== undefined && own.createRevision === holder?.createRevision) {
      this.#createRevision = own.createRevision
      this.#modRevision = own.modRevision
      return own.createRevision
    }
    return holder === undefined ? this.tryAcquire(value, options) : holderOf(holder)
  }

  /**
   * Writes `value`, if the key is still ours: to give the lock to another one in this process, or to tell others something
   * else. Resolves with the revision, which is the fence of the new holder.
   */
  async rewrite(value: string): Promise<number> {
    // Not the guard: a repeat, after an answer was lost, finds the revision of the first try.
    const isOurs = key(this.key).createRevision.equals(this.#createRevision)
    const transaction = this.#store
      .txn()
      .if(isOurs)
      .then(put(this.key, value, { lease: this.session.id }))
    const { succeeded, revision } = await this.#settle(() => transaction.commit(), this.session.signal)
    if (!succeeded) throw new LockLostError(this.#name)
    this.#modRevision = revision
    return revision
  }

  /** Takes the key out of the queue, if it is still the one that was put there. */
  async leave(): Promise<void> {
    const signal = this.session.signal
    // Without a revision its creation was not answered: the key of this lease, whatever it is, is ours alone.
    const ours =
      this.#createRevision === 0
        ? key(this.key).lease.equals(this.session.id)
        : key(this.key).createRevision.equals(this.#createRevision)
    await this.#settle(() => this.#store.txn().if(ours).then(del(this.key)).commit(), signal)
  }

  async #enqueue(value: string, options: { readonly signal: AbortSignal }): Promise<Place> {
    const queue = range({ prefix: `${this.#name}/` }, { keysOnly: true })
    const transaction = this.#store
      .txn()
      .if(key(this.key).createRevision.equals(0))
      .then(put(this.key, value, { lease: this.session.id }), queue)
      .else(get(this.key), queue)
    const { succeeded, responses, revision } = await this.#settle(() => transaction.commit(options), options.signal)
    const [own, { kvs }] = responses
    const found = succeeded ? undefined : (own as KeyValue | undefined)
    this.#createRevision = found?.createRevision ?? revision
    this.#modRevision = found?.modRevision ?? revision
    const ahead = kvs.filter(({ createRevision }) => createRevision < this.#createRevision)
    return { revision, ahead: new Set(ahead.map((kv) => kv.key.toString('latin1'))) }
  }

  /**
   * One watch shows the deletions of our key and of all before it in order: when the last of those goes and ours has not
   * gone before, the lock is ours from that revision on. Nothing is read again.
   */
  async #waitForTurn({ revision, ahead }: Place, signal: AbortSignal): Promise<number> {
    const own = Buffer.from(this.key).toString('latin1')
    const watcher = this.#store.watch(
      { prefix: `${this.#name}/` },
      { only: 'delete', startRevision: revision + 1, signal: AbortSignal.any([signal, this.session.signal]) },
    )
    for await (const batch of watcher.batches()) {
      const gone = batch.events.map(({ kv }) => kv.key.toString('latin1'))
      if (gone.includes(own)) throw new LockLostError(this.#name)
      for (const other of gone) ahead.delete(other)
      if (ahead.size === 0) return batch.revision
    }
    throw new LockLostError(this.#name)
  }

  /** Repeats a transaction that may be repeated, until it is known what came of it. */
  async #settle<Result>(commit: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await commit()
      } catch (error) {
        if (signal?.aborted === true || !this.session.isAlive()) throw error
        if (!isEtcdError(error) || (!error.retryable && error.code !== 'DEADLINE_EXCEEDED')) throw error
        await sleep(fullJitterMs(attempt, backoff), signal)
      }
    }
  }
}

/** Who holds a lock now, if anybody does. */
export async function readHolder(
  name: string,
  store: LockStore,
  options: CallOptions,
): Promise<LockHolder | undefined> {
  const oldest = range({ prefix: `${name}/` }, { limit: 1, sort: { target: 'createRevision' } })
  const { responses } = await store.txn().then(oldest).commit(options)
  const [holder] = responses[0]?.kvs ?? []
  return holder && holderOf(holder)
}

function holderOf(kv: KeyValue): LockHolder {
  const { lease, createRevision } = kv
  return { key: kv.key.toString(), value: kv.value.toString(), lease, createRevision }
}
