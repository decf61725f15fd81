/** A revision that the store was seen at. */
interface Observation {
  readonly revision: number
  /** When the answer was there, by `performance.now()`: the store had come to this revision by then. */
  readonly at: number
}

/** The revisions that the store was at, and when: which of them is old enough is never a guess. */
export class ObservedRevisions {
  #seen: Observation[] = []

  /** The answer to a consistent read or write told this revision now. */
  add(revision: number, now: number): void {
    // A store that goes back is another one, restored from a backup: its revisions are not those seen before.
    if (revision < (this.#seen.at(-1)?.revision ?? 0)) this.clear()
    this.#seen.push({ revision, at: now })
  }

  /** The newest revision that was reached `ageMs` ago or earlier; older ones are forgotten. */
  olderThan(ageMs: number, now: number): number | undefined {
    const index = this.#seen.findLastIndex(({ at }) => now - at >= ageMs)
    if (index < 0) return undefined
    this.#seen = this.#seen.slice(index)
    return this.#seen[0]?.revision
  }

  clear(): void {
    this.#seen = []
  }
}
