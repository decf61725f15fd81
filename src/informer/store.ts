import type { KeyValue } from '../core/key-value.js'
import type { WatchBatch, WatchEvent } from '../watch/watch-event.js'
import { type Change, changeOf } from './change.js'
import { Draft, type InvalidEntry, invalidEntry } from './draft.js'
import { type Entry, idOf, idOfKey } from './entry.js'
import { EntryReader, type ReaderOptions } from './entry-reader.js'
import { type Indexes, IndexTable } from './index-table.js'
import { type Edit, InformerSnapshot } from './snapshot.js'

/** How a store reads what it is given. */
export interface StoreOptions<T, Name extends string> extends ReaderOptions<T> {
  readonly indexes: Indexes<T, Name>
  readonly onInvalid: (invalid: InvalidEntry) => void
}

/**
 * The entries of an informer. Whole revisions are taken in at once; a listing takes the place of everything. A key whose
 * value cannot be read keeps its last good entry, if it had one, until it is deleted or can be read again.
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

  /** Keys that the range has, those that the filter leaves out or that cannot be read included. */
  get keyCount(): number {
    return this.#keyCount
  }

  get(key: string | Uint8Array): Entry<T> | undefined {
    // Most keys are ASCII and there, and are their own id: that is the fast way, and the entry tells whether it was right.
    const found = typeof key === 'string' ? this.#entries.get(key) : undefined
    return found?.keyText === key ? found : this.#entries.get(idOf(key))
  }

  find(name: Name, term: string): Entry<T>[] {
    return this.#table.find(name, term)
  }

  terms(name: Name): string[] {
    return this.#table.terms(name)
  }

  /** The entry that a key would have. Throws what the functions of the options throw. */
  read(kv: KeyValue): Entry<T> | undefined {
    return this.#reader.read(kv)
  }

  /** The keys up to this revision are what they were. */
  progress(revision: number): void {
    if (revision > this.#snapshot.revision) this.#snapshot = this.#snapshot.at(revision)
  }

  /** Takes in one revision. */
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
    this.#tellInvalid()
    return changes
  }

  /** Begins with entries of an earlier process, in key order. Those that the index functions refuse are left out. */
  load(entries: readonly Entry<T>[], revision: number): void {
    const draft = this.#draft({ isSameHistory: false, keepsLast: false })
    for (const entry of entries) draft.restore(entry)
    this.#replace(draft, revision)
  }

  /**
   * Begins a listing; `finish` lets it take the place of everything there was. `isSameHistory` is false where the cluster
   * may be another one, or an older one, than that of the entries.
   */
  draft(isSameHistory: boolean): { add(kv: KeyValue): void; finish(revision: number): void } {
    const draft = this.#draft({ isSameHistory, keepsLast: true })
    return {
      add: (kv) => draft.add(kv),
      finish: (revision) => {
        this.#replace(draft, revision)
        this.#untold.push(...draft.invalid.values())
        this.#tellInvalid()
      },
    }
  }

  /** Begins a snapshot of an earlier revision of the same cluster, for who wants to know what has changed since. */
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

  /** The entry that a key has after a put. */
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

  /** Whoever is told finds the whole revision in the store. */
  #tellInvalid(): void {
    const untold = this.#untold
    this.#untold = []
    for (const invalid of untold) this.#options.onInvalid(invalid)
  }
}
