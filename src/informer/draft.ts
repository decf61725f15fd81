import type { KeyValue } from '../core/key-value.js'
import { type Entry, idOfKey } from './entry.js'
import type { EntryReader } from './entry-reader.js'
import type { IndexTable } from './index-table.js'

/** A value that could not be taken in: the codec, the filter, the transform or an index function threw. */
export interface InvalidEntry {
  /** The key as text. */
  readonly keyText: string
  /** The value as it is in etcd. */
  readonly value: Buffer
  readonly modRevision: number
  readonly error: unknown
}

/** What a draft goes by. */
export interface DraftBasis<T, Name extends string> {
  readonly reader: EntryReader<T>
  /** Empty, to be filled. */
  readonly table: IndexTable<T, Name>
  /** The entries there are, and their places in the indexes. */
  readonly entries: ReadonlyMap<string, Entry<T>>
  readonly oldTable: IndexTable<T, Name>
  /** Whether a key that has the revision of its entry is unchanged: not so if the cluster may be another one. */
  readonly isSameHistory: boolean
  /** Whether a key whose value cannot be read keeps the entry that it has. */
  readonly keepsLast: boolean
}

/** A listing on its way in. What has not changed since the last one keeps its entry, and all that was derived from it. */
export class Draft<T, Name extends string> {
  /** In key order. */
  readonly entries = new Map<string, Entry<T>>()
  readonly invalid = new Map<string, InvalidEntry>()
  readonly table: IndexTable<T, Name>
  readonly #basis: DraftBasis<T, Name>
  #keyCount = 0

  constructor(basis: DraftBasis<T, Name>) {
    this.#basis = basis
    this.table = basis.table
  }

  /** Keys that were listed, those without an entry included. */
  get keyCount(): number {
    return this.#keyCount
  }

  /** Takes in the next key, in key order. */
  add(kv: KeyValue): void {
    const { entries, isSameHistory, keepsLast } = this.#basis
    const id = idOfKey(kv)
    const old = entries.get(id)
    this.#keyCount += 1
    if (old !== undefined && isSameHistory && old.modRevision === kv.modRevision) {
      this.#keep(old)
      return
    }
    try {
      this.#read(kv, id, old)
    } catch (error) {
      this.invalid.set(id, invalidEntry(kv, error))
      if (old !== undefined && keepsLast) this.#keep(old)
    }
  }

  /** Takes in an entry of an earlier process, unless the index functions refuse it. */
  restore(entry: Entry<T>): void {
    try {
      this.table.set(entry)
      this.entries.set(entry.id, entry)
    } catch {
      // The listing that follows tells, if the value still is what it was.
    }
  }

  #read(kv: KeyValue, id: string, old: Entry<T> | undefined): void {
    const { reader } = this.#basis
    const entry = reader.read(kv, id)
    if (entry === undefined) return
    if (old !== undefined && reader.isSame(old, entry)) {
      this.#keep(old)
      return
    }
    this.table.set(entry)
    this.entries.set(entry.id, entry)
  }

  #keep(entry: Entry<T>): void {
    this.table.adopt(entry, this.#basis.oldTable)
    this.entries.set(entry.id, entry)
  }
}

/** What is kept of a value that could not be taken in. */
export function invalidEntry(kv: KeyValue, error: unknown): InvalidEntry {
  // A copy, since the value is a view of a whole answer.
  return { keyText: kv.key.toString(), value: Buffer.from(kv.value), modRevision: kv.modRevision, error }
}
