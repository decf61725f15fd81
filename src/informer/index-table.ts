import { InvalidArgumentError } from '../core/errors.js'
import type { Entry } from './entry.js'

/** For each index, the terms that an entry is found by. */
export type Indexes<T, Name extends string> = Readonly<
  Record<Name, (value: T, entry: Entry<T>) => readonly string[] | string>
>

/** Finds the entries of an informer by what their values say. */
export class IndexTable<T, Name extends string> {
  readonly #indexes: Indexes<T, Name>
  readonly #tables = new Map<string, Map<string, Map<string, Entry<T>>>>()

  constructor(indexes: Indexes<T, Name>) {
    this.#indexes = indexes
    for (const name of Object.keys(indexes)) this.#tables.set(name, new Map())
  }

  /** The entries with this term, in the order in which they came to have it. */
  find(name: Name, term: string): Entry<T>[] {
    return [...(this.#table(name).get(term)?.values() ?? [])]
  }

  /** All terms of an index. */
  terms(name: Name): string[] {
    return [...this.#table(name).keys()]
  }

  /** Throws what an index function throws for this entry. */
  check(entry: Entry<T>): void {
    this.#terms(entry)
  }

  /** Takes in that `old` has become `entry`. Throws what an index function throws, with nothing changed. */
  change(old: Entry<T> | undefined, entry: Entry<T> | undefined): void {
    if (this.#tables.size === 0) return
    const added = entry === undefined ? [] : this.#terms(entry)
    if (old !== undefined) for (const [table, term] of this.#terms(old)) remove(table, term, old.id)
    if (entry !== undefined) for (const [table, term] of added) add(table, term, entry)
  }

  #terms(entry: Entry<T>): [Map<string, Map<string, Entry<T>>>, string][] {
    return [...this.#tables].flatMap(([name, table]) => {
      const terms = this.#indexes[name as Name](entry.value, entry)
      return (typeof terms === 'string' ? [terms] : [...new Set(terms)]).map(
        (term) => [table, term] as [typeof table, string],
      )
    })
  }

  #table(name: Name): Map<string, Map<string, Entry<T>>> {
    const table = this.#tables.get(name)
    if (table !== undefined) return table
    const known = [...this.#tables.keys()].join(', ') || 'none'
    throw new InvalidArgumentError(`\`name\` must be an index of the informer (${known}), got ${JSON.stringify(name)}`)
  }
}

function add<T>(table: Map<string, Map<string, Entry<T>>>, term: string, entry: Entry<T>): void {
  const entries = table.get(term)
  if (entries === undefined) table.set(term, new Map([[entry.id, entry]]))
  else entries.set(entry.id, entry)
}

function remove<T>(table: Map<string, Map<string, Entry<T>>>, term: string, id: string): void {
  const entries = table.get(term)
  entries?.delete(id)
  if (entries?.size === 0) table.delete(term)
}
