import type { Codec } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import type { KeyValue } from '../core/key-value.js'
import type { WatchBatch, WatchEvent } from '../watch/watch-event.js'
import { type Change, changeOf } from './change.js'
import { type Entry, entryOf } from './entry.js'
import { type Indexes, IndexTable } from './index-table.js'
import { type Edit, Snapshot } from './snapshot.js'

/** A value that could not be taken in: the codec, the filter or an index function threw. */
export interface InvalidEntry {
  readonly key: string
  /** The value as it is in etcd. */
  readonly raw: Buffer
  readonly revision: number
  readonly error: unknown
}

/** How a store reads what it is given. */
export interface StoreOptions<T, Name extends string> {
  readonly codec: Codec<T>
  readonly filter: ((value: T, entry: Entry<T>) => boolean) | undefined
  readonly indexes: Indexes<T, Name>
  readonly onInvalid: (invalid: InvalidEntry) => void
}

/** What became of one key: its entry, nothing since it is filtered out, or the error that it gave. */
type Reading<T> = { readonly entry: Entry<T> | undefined } | { readonly error: unknown }

/**
 * The entries of an informer. Whole revisions are taken in at once; a listing takes the place of everything. A key whose
 * value cannot be read keeps its last good entry, if it had one, until it is deleted or can be read again.
 */
export class Store<T, Name extends string> {
  readonly #options: StoreOptions<T, Name>
  readonly #invalid = new Map<string, InvalidEntry>()
  #entries = new Map<string, Entry<T>>()
  #snapshot = Snapshot.empty<T>()
  #table: IndexTable<T, Name>

  constructor(options: StoreOptions<T, Name>) {
    this.#options = options
    this.#table = new IndexTable(options.indexes)
  }

  get snapshot(): Snapshot<T> {
    return this.#snapshot
  }

  get invalid(): readonly InvalidEntry[] {
    return [...this.#invalid.values()]
  }

  get(id: string): Entry<T> | undefined {
    return this.#entries.get(id)
  }

  find(name: Name, term: string): Entry<T>[] {
    return this.#table.find(name, term)
  }

  terms(name: Name): string[] {
    return this.#table.terms(name)
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
      const id = event.kv.key.toString('latin1')
      const old = this.#entries.get(id)
      const entry = event.type === 'delete' ? this.#forget(id) : this.#read(event, id, old)
      if (old === entry) continue
      this.#set(id, old, entry)
      edits.push({ id, entry })
      const change = changeOf(old, entry, { revision, cause: 'watch', initial: false })
      if (change !== undefined) changes.push(change)
    }
    this.#snapshot = edits.length === 0 ? this.#snapshot.at(revision) : this.#snapshot.with(edits, revision)
    return changes
  }

  /** Begins with entries of an earlier process, in key order. */
  load(entries: readonly Entry<T>[], revision: number): void {
    this.#replace(entries, [], revision)
  }

  /** Begins a listing; `finish` lets it take the place of everything there was. */
  draft(): { add(kv: KeyValue): void; finish(revision: number): void } {
    const entries: Entry<T>[] = []
    const invalid: InvalidEntry[] = []
    return {
      add: (kv) => {
        const id = kv.key.toString('latin1')
        const old = this.#entries.get(id)
        // Nothing changed since: the entry stays, and so does everything that is derived from it.
        const reading = old?.revision === kv.modRevision ? { entry: old } : this.#reading(kv)
        if ('error' in reading) invalid.push(invalidEntry(kv, reading.error))
        const entry = 'error' in reading ? old : reading.entry
        if (entry !== undefined) entries.push(entry)
      },
      finish: (revision) => this.#replace(entries, invalid, revision),
    }
  }

  #replace(entries: readonly Entry<T>[], invalid: readonly InvalidEntry[], revision: number): void {
    const table = new IndexTable(this.#options.indexes)
    for (const entry of entries) table.change(undefined, entry)
    this.#table = table
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]))
    this.#snapshot = Snapshot.of(entries, revision)
    this.#invalid.clear()
    for (const one of invalid) this.#report(one)
  }

  #set(id: string, old: Entry<T> | undefined, entry: Entry<T> | undefined): void {
    this.#table.change(old, entry)
    if (entry === undefined) this.#entries.delete(id)
    else this.#entries.set(id, entry)
  }

  #forget(id: string): undefined {
    this.#invalid.delete(id)
    return undefined
  }

  #read({ kv }: WatchEvent, id: string, old: Entry<T> | undefined): Entry<T> | undefined {
    const reading = this.#reading(kv)
    if (!('error' in reading)) {
      this.#invalid.delete(id)
      return reading.entry
    }
    this.#report(invalidEntry(kv, reading.error))
    return old
  }

  #reading(kv: KeyValue): Reading<T> {
    const { codec, filter } = this.#options
    try {
      const entry = entryOf(kv, codec.decode(kv.value))
      if (filter !== undefined && !filter(entry.value, entry)) return { entry: undefined }
      // Index functions are tried here, so that one that throws spoils nothing later.
      this.#table.check(entry)
      return { entry }
    } catch (error) {
      return { error }
    }
  }

  #report(invalid: InvalidEntry): void {
    this.#invalid.set(Buffer.from(invalid.key).toString('latin1'), invalid)
    this.#options.onInvalid(invalid)
  }
}

function invalidEntry(kv: KeyValue, error: unknown): InvalidEntry {
  // A copy, since the value is a view of a whole answer.
  return { key: kv.key.toString(), raw: Buffer.from(kv.value), revision: kv.modRevision, error }
}

/** Refuses index functions that are none. */
export function checkIndexes(indexes: object): void {
  for (const [name, terms] of Object.entries(indexes)) {
    if (typeof terms !== 'function') throw new InvalidArgumentError(`\`indexes.${name}\` must be a function`)
  }
}
