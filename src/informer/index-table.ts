import { InvalidArgumentError } from '../core/errors.js'
import type { Entry } from './entry.js'

/** For each index, the terms that an entry is found by. */
export type Indexes<T, Name extends string> = Readonly<
  Record<Name, (value: T, entry: Entry<T>) => readonly string[] | string>
>

type Table<T> = Map<string, Map<string, Entry<T>>>

/** Where an entry can be found. */
interface Place {
  readonly index: string
  readonly term: string
}

/** Finds the entries of an informer by what their values say. */
export class IndexTable<T, Name extends string> {
  readonly #indexes: Indexes<T, Name>
  readonly #tables = new Map<string, Table<T>>()
  /** Where each key is found. An index function is never asked again for an old value, which may have been modified. */
  readonly #places = new Map<string, readonly Place[]>()

  constructor(indexes: Indexes<T, Name>) {
    this.#indexes = indexes
    for (const name of Object.keys(indexes)) this.#tables.set(name, new Map())
  }

  /** The entries with this term, in no particular order. */
  find(name: Name, term: string): Entry<T>[] {
    return [...(this.#table(name).get(term)?.values() ?? [])]
  }

  /** All terms of an index, in no particular order. */
  terms(name: Name): string[] {
    return [...this.#table(name).keys()]
  }

  /** Takes in an entry, in place of the one that the key had. Throws what an index function throws, with nothing changed. */
  set(entry: Entry<T>): void {
    if (this.#tables.size > 0) this.#put(entry, this.#placesOf(entry))
  }

  /** Takes over an entry from another table with the same indexes. */
  adopt(entry: Entry<T>, from: IndexTable<T, Name>): void {
    const places = from.#places.get(entry.id)
    if (places !== undefined) this.#put(entry, places)
  }

  delete(id: string): void {
    for (const { index, term } of this.#places.get(id) ?? []) remove(this.#table(index), term, id)
    this.#places.delete(id)
  }

  #put(entry: Entry<T>, places: readonly Place[]): void {
    this.delete(entry.id)
    this.#places.set(entry.id, places)
    for (const { index, term } of places) add(this.#table(index), term, entry)
  }

  #placesOf(entry: Entry<T>): Place[] {
    return [...this.#tables.keys()].flatMap((index) => {
      // The names of the tables are those of the indexes.
      const terms = this.#indexes[index as Name](entry.value, entry)
      return (typeof terms === 'string' ? [terms] : [...new Set(terms)]).map((term) => ({ index, term }))
    })
  }

  #table(name: string): Table<T> {
    const table = this.#tables.get(name)
    if (table !== undefined) return table
    const known = [...this.#tables.keys()].join(', ') || 'none'
    throw new InvalidArgumentError(`\`index\` must be one of the informer's (${known}), got ${JSON.stringify(name)}`)
  }
}

/** Refuses index functions that are none. */
export function checkIndexes(indexes: object): void {
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
