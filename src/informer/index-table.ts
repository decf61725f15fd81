import { types } from 'node:util'
import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'
import type { Entry } from './entry.js'

/** For each index, a function that returns the terms of an entry. */
export type Indexes<T, Name extends string> = Readonly<
  Record<Name, (value: T, entry: Entry<T>) => readonly string[] | string>
>

type Table<T> = Map<string, Map<string, Entry<T>>>

/** The terms under which an index lists an entry. */
interface IndexTerm {
  readonly index: string
  readonly term: string
}

/** Finds entries by terms derived from their values. */
export class IndexTable<T, Name extends string> {
  readonly #indexes: Indexes<T, Name>
  readonly #tables = new Map<string, Table<T>>()
  /**
   * The terms of each key. Invariant: an index function is never called again for an old value, which may have been
   * mutated.
   */
  readonly #indexTerms = new Map<string, readonly IndexTerm[]>()

  constructor(indexes: Indexes<T, Name>) {
    this.#indexes = indexes
    for (const name of Object.keys(indexes)) this.#tables.set(name, new Map())
  }

  /** Returns the entries with this term, in no particular order. */
  find(name: Name, term: string): Entry<T>[] {
    if (typeof term !== 'string') throw new InvalidArgumentError(`\`term\` must be a string, got ${describe(term)}`)
    return [...(this.#table(name).get(term)?.values() ?? [])]
  }

  /** Returns all terms of an index, in no particular order. */
  terms(name: Name): string[] {
    return [...this.#table(name).keys()]
  }

  /** Adds an entry, replacing the key's previous one. If an index function throws, nothing changes. */
  set(entry: Entry<T>): void {
    if (this.#tables.size > 0) this.#put(entry, this.#indexTermsOf(entry))
  }

  /** Copies the terms of an entry from another table with the same indexes. */
  adopt(entry: Entry<T>, from: IndexTable<T, Name>): void {
    const indexTerms = from.#indexTerms.get(entry.id)
    if (indexTerms !== undefined) this.#put(entry, indexTerms)
  }

  delete(id: string): void {
    for (const { index, term } of this.#indexTerms.get(id) ?? []) remove(this.#table(index), term, id)
    this.#indexTerms.delete(id)
  }

  #put(entry: Entry<T>, indexTerms: readonly IndexTerm[]): void {
    this.delete(entry.id)
    this.#indexTerms.set(entry.id, indexTerms)
    for (const { index, term } of indexTerms) add(this.#table(index), term, entry)
  }

  #indexTermsOf(entry: Entry<T>): IndexTerm[] {
    return [...this.#tables.keys()].flatMap((index) => {
      // The tables are created from the names of the indexes.
      const terms = this.#indexes[index as Name](entry.value, entry)
      return (typeof terms === 'string' ? [terms] : [...new Set(terms)]).map((term) => ({ index, term }))
    })
  }

  #table(name: string): Table<T> {
    const table = this.#tables.get(name)
    if (table !== undefined) return table
    const known = [...this.#tables.keys()].join(', ') || 'none'
    throw new InvalidArgumentError(`\`index\` must be one of the informer's (${known}), got ${describe(name)}`)
  }
}

/** Validates index functions. */
export function checkIndexes(indexes: object): void {
  if (typeof indexes !== 'object' || indexes === null || types.isPromise(indexes)) {
    throw new InvalidArgumentError(`\`indexes\` must be an object of functions, got ${describe(indexes)}`)
  }
  for (const [name, terms] of Object.entries(indexes)) {
    if (typeof terms !== 'function') throw new InvalidArgumentError(`\`indexes.${name}\` must be a function`)
  }
}

function add<T>(table: Table<T>, term: string, entry: Entry<T>): void {
  const entries = table.get(term)
  if (entries === undefined) table.set(term, new Map([[entry.id, entry]]))
  else entries.set(entry.id, entry)
}

function remove<T>(table: Table<T>, term: string, id: string): void {
  const entries = table.get(term)
  entries?.delete(id)
  if (entries?.size === 0) table.delete(term)
}
