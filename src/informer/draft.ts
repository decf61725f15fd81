import type { KeyValue } from '../core/key-value.js'
import { type Entry, idOfKey } from './entry.js'
import type { EntryReader } from './entry-reader.js'
import type { IndexTable } from './index-table.js'

/** A value that could not be processed: the codec, the filter, the transform or an index function threw. */
export interface InvalidEntry {
  /** The key as text. */
  readonly keyText: string
  /** The stored bytes. */
  readonly value: Buffer
  readonly modRevision: number
  readonly error: unknown
}

/** What a draft is based on. */
export interface DraftBasis<T, Name extends string> {
  readonly reader: EntryReader<T>
  /** Empty; the draft fills it. */
  readonly table: IndexTable<T, Name>
  /** The current entries. */
  readonly entries: ReadonlyMap<string, Entry<T>>
  readonly oldTable: IndexTable<T, Name>
  /** Whether a key with the `modRevision` of its entry is unchanged. False if the cluster may be another one. */
  readonly isSameHistory: boolean
  /** Whether a key with an invalid value keeps its current entry. */
  readonly keepsLast: boolean
}

/** A listing in progress. Unchanged keys keep their entries and everything derived from them. */
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

  /** Number of listed keys, including keys without an entry. */
  get keyCount(): number {
    return this.#keyCount
  }

  /** Adds the next key, in key order. */
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

  /** Adds an entry of an earlier process, unless an index function throws. */
  restore(entry: Entry<T>): void {
    try {
      this.table.set(entry)
      this.entries.set(entry.id, entry)
    } catch {
      // The next listing reports the error, if the value is unchanged.
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

/** The record of a value that could not be processed. */
export function invalidEntry(kv: KeyValue, error: unknown): InvalidEntry {
  // A copy, because the value is a view of a whole response.
  return { keyText: kv.key.toString(), value: Buffer.from(kv.value), modRevision: kv.modRevision, error }
}
