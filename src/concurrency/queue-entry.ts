import type { KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { keys } from '../kv/compare.js'
import type { Session } from '../lease/session.js'
import { batchesUntilCompacted, type KeyStore } from './concurrency-host.js'
import { QueueKey } from './queue-key.js'

/** A queue of keys, ordered by create revision, and the rule that says whose turn it is. */
export interface QueueSpec {
  /** What all its keys begin with, before a slash or a `~`. */
  readonly name: Buffer
  /** All keys of the queue: one watch of this range shows a process everything that it waits for. */
  readonly watched: KeyRange
  /** The ranges of the entries that an entry waits for if they are older. */
  readonly ahead: readonly KeyRange[]
  /** How many of those may remain when its turn comes. */
  readonly maxAhead: number
  /** The key of a new entry. */
  entryKey(session: Session): Buffer
  /** Whether a key that was read from `ahead`, with its lease, is an entry. */
  isEntry(kv: KeyValue): boolean
}

/** The entries ahead of an entry, as of a revision. */
interface Ahead {
  readonly revision: number
  readonly ids: Set<string>
  readonly oldest: KeyValue | undefined
}

/** One entry in a queue: the way from the creation of its key to its turn. */
export class QueueEntry {
  readonly key: QueueKey
  readonly #spec: QueueSpec
  readonly #store: KeyStore

  constructor(spec: QueueSpec, session: Session, store: KeyStore) {
    this.key = new QueueKey(spec.entryKey(session), session, store)
    this.#spec = spec
    this.#store = store
  }

  /** Waits for its turn. Resolves with the fence: a revision at which its turn had come, and before which it had not. */
  async acquire(value: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      const ahead = await this.#enqueue(value, signal)
      if (this.#isTurn(ahead)) return ahead.revision
      const fence = await this.#waitForTurn(ahead, signal)
      if (fence !== undefined) return fence
    }
  }

  /** Resolves with the fence if its turn comes at once, and otherwise with the oldest entry ahead. */
  async tryAcquire(value: string, signal: AbortSignal): Promise<number | KeyValue> {
    const attempt = await this.#createIfFree(value, signal)
    if (attempt !== undefined) return attempt
    const ahead = await this.#enqueue(value, signal)
    return this.#isTurn(ahead) || ahead.oldest === undefined ? ahead.revision : ahead.oldest
  }

  /**
   * Writes nothing to a queue that is in use. Resolves with `undefined` if only the queue can decide: more than one entry may
   * have its turn, or the keys found there are no entries.
   */
  async #createIfFree(value: string, signal: AbortSignal): Promise<number | KeyValue | undefined> {
    const { ahead, maxAhead } = this.#spec
    if (maxAhead > 0) return undefined
    const conditions = ahead.map((one) => keys(one).createRevision.equals(0))
    const { exists, revision, kvs } = await this.key.create(value, ahead, signal, conditions)
    const { oldest } = this.#ahead(kvs, revision, exists ? this.key.createRevision : Number.POSITIVE_INFINITY)
    return oldest ?? (exists ? revision : undefined)
  }

  async #enqueue(value: string, signal: AbortSignal): Promise<Ahead> {
    const { revision, kvs } = await this.key.create(value, this.#spec.ahead, signal)
    return this.#ahead(kvs, revision, this.key.createRevision)
  }

  #ahead(kvs: readonly KeyValue[], revision: number, createRevision: number): Ahead {
    const entries = kvs.filter((kv) => kv.createRevision < createRevision && this.#spec.isEntry(kv))
    return { revision, ids: new Set(entries.map(idOf)), oldest: oldestOf(entries) }
  }

  #isTurn({ ids }: Ahead): boolean {
    return ids.size <= this.#spec.maxAhead
  }

  /**
   * One watch shows the deletions of our key and of those ahead in order: when enough of those are deleted and ours was not
   * deleted before, our turn begins at that revision. Nothing is read again. Resolves with `undefined` when our key is
   * deleted, or when the history that would show it is compacted.
   */
  async #waitForTurn(ahead: Ahead, signal: AbortSignal): Promise<number | undefined> {
    const own = this.key.key.toString('latin1')
    const options = { only: 'delete', startRevision: ahead.revision + 1, signal } as const
    for await (const { events, revision } of batchesUntilCompacted(this.#store, this.#spec.watched, options)) {
      const deleted = events.map(({ kv }) => idOf(kv))
      if (deleted.includes(own)) return undefined
      for (const id of deleted) ahead.ids.delete(id)
      if (this.#isTurn(ahead)) return revision
    }
    return undefined
  }
}

/** The entry that was created first: it holds the lock, or leads. */
export function oldestOf(entries: Iterable<KeyValue>): KeyValue | undefined {
  let oldest: KeyValue | undefined
  for (const entry of entries) {
    if (oldest === undefined || entry.createRevision < oldest.createRevision) oldest = entry
  }
  return oldest
}

function idOf({ key }: KeyValue): string {
  return key.toString('latin1')
}
