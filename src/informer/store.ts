import type { KeyValue } from '../core/key-value.js'
import type { WatchBatch, WatchEvent } from '../watch/watch-event.js'
import { type Change, changeOf } from './change.js'
import { Draft, type InvalidEntry, invalidEntry } from './draft.js'
import { type Entry, idOf, idOfKey } from './entry.js'
import { EntryReader, type ReaderOptions } from './entry-reader.js'
import { type Indexes, IndexTable } from './index-table.js'
import { type Edit, InformerSnapshot } from './snapshot.js'

/** How a store processes keys. */
export interface StoreOptions<T, Name extends string> extends ReaderOptions<T> {
  readonly indexes: Indexes<T, Name>
  readonly onInvalid: (invalid: InvalidEntry) => void
}

/**
 * The entries of an informer. Changes are applied whole revisions at a time; a listing replaces everything. A key whose
 * value cannot be decoded keeps its last valid entry, if any, until it is deleted or decodable again.
 */
export class Store<T, Name extends string> {
  readonly #options: StoreOptions<T, Name>
  readonly #reader: EntryReader<T>
  #invalid = new Map<string, InvalidEntry>()
  #entries = new Map<string, Entry<T>>()
  #snapshot = InformerSnapshot.empty<T>()
  #table: IndexTable<T, Name>
  #keyCount = 0
  #untold: InvalidEntry[] = []

  constructor(options: StoreOptions<T, Name>) {
    this.#options = options
    this.#reader = new EntryReader(options)
    this.#table = new IndexTable(options.indexes)
  }

  get snapshot(): InformerSnapshot<T> {
    return this.#snapshot
  }

  get invalid(): readonly InvalidEntry[] {
    return [...this.#invalid.values()]
  }

  /** Number of keys in the range, including those that the filter excludes or that cannot be decoded. */
  get keyCount(): number {
    return this.#keyCount
  }

  get(key: string | Uint8Array): Entry<T> | undefined {
    // Fast path: most keys are ASCII and exist, and equal their ID. The entry shows whether the guess was right.
    const found = typeof key === 'string' ? this.#entries.get(key) : undefined
    return found?.keyText === key ? found : this.#entries.get(idOf(key))
  }

  find(name: Name, term: string): Entry<T>[] {
    return this.#table.find(name, term)
  }

  terms(name: Name): string[] {
    return this.#table.terms(name)
  }

  /** The entry that a key would have. Throws what the user's functions throw. */
  read(kv: KeyValue): Entry<T> | undefined {
    return this.#reader.read(kv)
  }

  /** The keys are unchanged up to this revision. */
  progress(revision: number): void {
    if (revision > this.#snapshot.revision) this.#snapshot = this.#snapshot.at(revision)
  }

  /** Applies one revision. */
  apply({ revision, events }: WatchBatch): Change<T>[] {
    const changes: Change<T>[] = []
    const edits: Edit<T>[] = []
    for (const event of events) {
      const id = idOfKey(event.kv)
      const old = this.#entries.get(id)
      const entry = event.type === 'delete' ? this.#forget(id) : this.#take(event, id, old)
      if (old === entry) continue
      edits.push({ id, entry })
      const change = changeOf(old, entry, { revision, source: 'watch', initial: false })
      if (change !== undefined) changes.push(change)
    }
    this.#snapshot = edits.length === 0 ? this.#snapshot.at(revision) : this.#snapshot.with(edits, revision)
    this.#reportInvalid()
    return changes
  }

  /** Starts with entries of an earlier process, in key order. Omits those that index functions reject. */
  load(entries: readonly Entry<T>[], revision: number): void {
    const draft = this.#draft({ isSameHistory: false, keepsLast: false })
    for (const entry of entries) draft.restore(entry)
    this.#replace(draft, revision)
  }

  /**
   * Starts a listing; `finish()` replaces the current state by it. `isSameHistory` is false if the history of the
   * cluster may have changed.
   */
  draft(isSameHistory: boolean): { add(kv: KeyValue): void; finish(revision: number): void } {
    const draft = this.#draft({ isSameHistory, keepsLast: true })
    return {
      add: (kv) => draft.add(kv),
      finish: (revision) => {
        this.#replace(draft, revision)
        this.#untold.push(...draft.invalid.values())
        this.#reportInvalid()
      },
    }
  }

  /** Starts a snapshot of an earlier revision of the same history, to compute the changes since then. */
  history(): { add(kv: KeyValue): void; snapshot(revision: number): InformerSnapshot<T> } {
    const draft = this.#draft({ isSameHistory: true, keepsLast: false })
    return {
      add: (kv) => draft.add(kv),
      snapshot: (revision) => InformerSnapshot.of([...draft.entries.values()], revision),
    }
  }

  #draft(options: { readonly isSameHistory: boolean; readonly keepsLast: boolean }): Draft<T, Name> {
    const table = new IndexTable(this.#options.indexes)
    return new Draft({ ...options, reader: this.#reader, table, entries: this.#entries, oldTable: this.#table })
  }

  #replace({ entries, table, invalid, keyCount }: Draft<T, Name>, revision: number): void {
    this.#table = table
    this.#entries = entries
    this.#snapshot = InformerSnapshot.of([...entries.values()], revision)
    this.#invalid = invalid
    this.#keyCount = keyCount
  }

  #forget(id: string): undefined {
    this.#keyCount -= 1
    this.#invalid.delete(id)
    this.#drop(id)
    return undefined
  }

  #drop(id: string): void {
    this.#table.delete(id)
    this.#entries.delete(id)
  }

  /** The entry of a key after a put. */
  #take({ kv, created }: WatchEvent, id: string, old: Entry<T> | undefined): Entry<T> | undefined {
    if (created) this.#keyCount += 1
    try {
      const entry = this.#reader.read(kv, id)
      if (entry === undefined) this.#drop(id)
      else {
        this.#table.set(entry)
        this.#entries.set(id, entry)
      }
      this.#invalid.delete(id)
      return entry
    } catch (error) {
      const invalid = invalidEntry(kv, error)
      this.#invalid.set(id, invalid)
      this.#untold.push(invalid)
      return old
    }
  }

  /** Listeners are called once the store contains the whole revision. */
  #reportInvalid(): void {
    const untold = this.#untold
    this.#untold = []
    for (const invalid of untold) this.#options.onInvalid(invalid)
  }
}
