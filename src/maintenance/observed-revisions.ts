/** A revision of the store. */
interface Observation {
  readonly revision: number
  /** When the response arrived, by `performance.now()`: the store had reached the revision by then. */
  readonly at: number
}

/** The revisions that the store has reached, each with the time of the observation. */
export class ObservedRevisions {
  #seen: Observation[] = []

  /** Records the revision in the response to a linearizable read or a write. */
  add(revision: number, now: number): void {
    // A revision that decreases means a cluster restored from a backup, whose history differs from the observed one.
    if (revision < (this.#seen.at(-1)?.revision ?? 0)) this.clear()
    this.#seen.push({ revision, at: now })
  }

  /** The newest revision observed at least `ageMs` ago. Forgets older ones. */
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
