import { printAs } from '../core/printing.js'
import { type Entry, idOf } from './entry.js'

/** Maximum number of entries copied per change. Chunks are created half full. */
const chunkSize = 256

type Chunk<T> = readonly Entry<T>[]

/** A change of one key of a snapshot. */
export type Edit<T> =
  | { readonly id: string; readonly entry: Entry<T> }
  | { readonly id: string; readonly entry: undefined }

/**
 * The keys of an informer as of one revision, in etcd's key order. Immutable; successive snapshots share unchanged
 * chunks, so keeping one costs little memory.
 */
export class InformerSnapshot<T> implements Iterable<Entry<T>> {
  static {
    printAs(this, ({ revision, size }) => ({ revision, size }))
  }
  /** The revision of all keys; 0 before the first listing. */
  readonly revision: number
  readonly size: number
  readonly #chunks: readonly Chunk<T>[]

  private constructor(revision: number, size: number, chunks: readonly Chunk<T>[]) {
    this.revision = revision
    this.size = size
    this.#chunks = chunks
  }

  /** @internal */
  static empty<T>(): InformerSnapshot<T> {
    return new InformerSnapshot<T>(0, 0, [])
  }

  /** @internal Creates a snapshot of entries in key order. */
  static of<T>(entries: readonly Entry<T>[], revision: number): InformerSnapshot<T> {
    const chunks: Chunk<T>[] = []
    for (let at = 0; at < entries.length; at += chunkSize / 2) chunks.push(entries.slice(at, at + chunkSize / 2))
    return new InformerSnapshot(revision, entries.length, chunks)
  }

  /** The entry of a key; `undefined` if it does not exist. */
  get(key: string | Uint8Array): Entry<T> | undefined {
    const id = idOf(key)
    const chunk = this.#chunks[chunkIndex(this.#chunks, id)]
    const entry = chunk?.[lowerBound(chunk, id)]
    return entry?.id === id ? entry : undefined
  }

  /** All entries, in the order of their keys. */
  *[Symbol.iterator](): Generator<Entry<T>, void, undefined> {
    for (const chunk of this.#chunks) yield* chunk
  }

  /** Returns all entries, in key order. */
  list(): Entry<T>[] {
    return this.#chunks.flat()
  }

  /** Returns the entries from `from` (included) to `to` (excluded); without `to`, up to the last one. */
  range(from: string | Uint8Array, to?: string | Uint8Array): Entry<T>[] {
    const first = idOf(from, 'from')
    const end = to === undefined ? undefined : idOf(to, 'to')
    const found: Entry<T>[] = []
    for (let at = Math.max(0, chunkIndex(this.#chunks, first)); at < this.#chunks.length; at += 1) {
      for (const entry of this.#chunks[at] ?? []) {
        if (entry.id < first) continue
        if (end !== undefined && entry.id >= end) return found
        found.push(entry)
      }
    }
    return found
  }

  /** @internal Creates the next snapshot. */
  with(edits: Iterable<Edit<T>>, revision: number): InformerSnapshot<T> {
    const chunks = [...this.#chunks]
    const owned = new Set<Chunk<T>>()
    let size = this.size
    for (const { id, entry } of edits) size += edit(chunks, owned, id, entry)
    return new InformerSnapshot(revision, size, chunks)
  }

  /** The same keys, known to be unchanged at a later revision. */
  at(revision: number): InformerSnapshot<T> {
    return new InformerSnapshot(revision, this.size, this.#chunks)
  }

  /** Yields the keys that differ, in key order, each with its entry here and in `next`. */
  *differences(
    next: InformerSnapshot<T>,
  ): Generator<{ readonly old: Entry<T> | undefined; readonly entry: Entry<T> | undefined }> {
    const before = new Walk(this.#chunks)
    const after = new Walk(next.#chunks)
    for (;;) {
      while (before.skipSame(after)) {}
      const old = before.entry
      const entry = after.entry
      if (old === undefined && entry === undefined) return
      const order = old === undefined ? 1 : entry === undefined || old.id < entry.id ? -1 : old.id === entry.id ? 0 : 1
      if (order <= 0) before.advance()
      if (order >= 0) after.advance()
      if (order < 0) yield { old, entry: undefined }
      else if (order > 0) yield { old: undefined, entry }
      else if (old !== entry) yield { old, entry }
    }
  }
}

/** Iterates over entries, and skips chunks that both snapshots share. */
class Walk<T> {
  readonly #chunks: readonly Chunk<T>[]
  #chunk = 0
  #index = 0

  constructor(chunks: readonly Chunk<T>[]) {
    this.#chunks = chunks
  }

  get entry(): Entry<T> | undefined {
    return this.#chunks[this.#chunk]?.[this.#index]
  }

  advance(): void {
    this.#index += 1
    if (this.#index < (this.#chunks[this.#chunk]?.length ?? 0)) return
    this.#chunk += 1
    this.#index = 0
  }

  skipSame(other: Walk<T>): boolean {
    if (this.#index !== 0 || other.#index !== 0) return false
    const chunk = this.#chunks[this.#chunk]
    if (chunk === undefined || chunk !== other.#chunks[other.#chunk]) return false
    this.#chunk += 1
    other.#chunk += 1
    return true
  }
}

/** The index of the chunk that contains `id` or would; -1 before all chunks. */
function chunkIndex<T>(chunks: readonly Chunk<T>[], id: string): number {
  let low = 0
  let high = chunks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const first = chunks[middle]?.[0]
    if (first !== undefined && first.id <= id) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** The first index whose entry is not before `id`. */
function lowerBound<T>(chunk: Chunk<T>, id: string): number {
  let low = 0
  let high = chunk.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const entry = chunk[middle]
    if (entry !== undefined && entry.id < id) low = middle + 1
    else high = middle
  }
  return low
}

/** Changes one key in `chunks`; copies chunks that are not `owned`. Returns the change in size. */
function edit<T>(chunks: Chunk<T>[], owned: Set<Chunk<T>>, id: string, entry: Entry<T> | undefined): number {
  const at = Math.max(0, chunkIndex(chunks, id))
  const current = chunks[at] ?? []
  const index = lowerBound(current, id)
  const exists = current[index]?.id === id
  if (!exists && entry === undefined) return 0
  // Chunks in `owned` were copied in this round and belong to no snapshot yet.
  const chunk = owned.has(current) ? (current as Entry<T>[]) : [...current]
  chunk.splice(index, exists ? 1 : 0, ...(entry === undefined ? [] : [entry]))
  const parts = chunk.length > chunkSize ? [chunk.slice(0, chunkSize / 2), chunk.slice(chunkSize / 2)] : [chunk]
  chunks.splice(at, chunks[at] === undefined ? 0 : 1, ...parts.filter(({ length }) => length > 0))
  for (const part of parts) owned.add(part)
  if (entry === undefined) return -1
  return exists ? 0 : 1
}
