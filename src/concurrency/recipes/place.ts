import { isEtcdError } from '../../core/errors.js'
import type { KeyValue } from '../../core/key-value.js'
import type { LockHolder } from '../lock/lock-errors.js'
import type { LockSession } from '../lock/lock-key.js'
import type { LockKind } from '../lock/lock-observer.js'
import { isOfForm, numbered } from './key-form.js'
import { OwnKey } from './own-key.js'
import type { RecipeHost } from './recipe-host.js'

/** Where those who want something queue, in the order in which their keys were created. */
export interface Line {
  /** What a turn grants. */
  readonly kind: LockKind
  /** What every key of the recipe begins with. One watch of it shows a process all that it waits for. */
  readonly all: string
  /** The folder of our own key. Folders are what keys begin with, up to and with a slash. */
  readonly own: string
  /** The folders of the keys that we have to wait for, if they came before ours. */
  readonly ahead: readonly string[]
  /** How many of those may still be there when it is our turn. */
  readonly mayBeAhead: number
}

/** What is before us, as of a revision. */
interface Ahead {
  readonly revision: number
  readonly keys: Set<string>
  readonly oldest: KeyValue | undefined
}

/** A place of one caller in a line: a key of its own, and the keys of those who came before. */
export class Place {
  readonly key: OwnKey
  readonly #line: Line
  readonly #store: RecipeHost['store']

  constructor(line: Line, session: LockSession, { store }: RecipeHost) {
    this.key = new OwnKey(line.own, session, store)
    this.#line = line
    this.#store = store
  }

  /** Waits for its turn. Resolves with the fence: a revision at which it was our turn, and before which it was not. */
  async acquire(value: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      const ahead = await this.#enter(value, signal)
      if (this.#isTurn(ahead)) return ahead.revision
      const fence = await this.#waitForTurn(ahead, signal)
      if (fence !== undefined) return fence
    }
  }

  /** Resolves with the fence if it is our turn at once, and otherwise with one of those who are before us. */
  async tryAcquire(value: string, signal: AbortSignal): Promise<number | LockHolder> {
    const ahead = await this.#enter(value, signal)
    if (this.#isTurn(ahead) || ahead.oldest === undefined) return ahead.revision
    const { key, value: seen, lease, createRevision } = ahead.oldest
    return { keyText: key.toString(), valueText: seen.toString(), lease, createRevision }
  }

  #isTurn({ keys }: Ahead): boolean {
    return keys.size <= this.#line.mayBeAhead
  }

  async #enter(value: string, signal: AbortSignal): Promise<Ahead> {
    const folders = this.#line.ahead
    const { revision, kvs } = await this.key.create(value, folders.map(numbered), signal)
    const places = kvs.filter((kv) => folders.some((folder) => isOfForm('place', folder, kv)))
    const ahead = places.filter(({ createRevision }) => createRevision < this.key.createRevision)
    ahead.sort((a, b) => a.createRevision - b.createRevision)
    return { revision, keys: new Set(ahead.map(idOf)), oldest: ahead[0] }
  }

  /**
   * One watch shows the deletions of our key and of those before it in order: when enough of those have gone and ours has
   * not gone before, it is our turn from that revision on. Nothing is read again. Resolves with `undefined` when our place is
   * gone, or the history that tells of it.
   */
  async #waitForTurn(ahead: Ahead, signal: AbortSignal): Promise<number | undefined> {
    const own = Buffer.from(this.key.name).toString('latin1')
    const options = { only: 'delete', startRevision: ahead.revision + 1, signal } as const
    try {
      for await (const { events, revision } of this.#store.watch({ prefix: this.#line.all }, options).batches()) {
        const gone = events.map(({ kv }) => idOf(kv))
        if (gone.includes(own)) return undefined
        for (const other of gone) ahead.keys.delete(other)
        if (this.#isTurn(ahead)) return revision
      }
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error
    }
    return undefined
  }
}

function idOf({ key }: KeyValue): string {
  return key.toString('latin1')
}
