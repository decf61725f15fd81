/**
 * The isolation level of a software transaction, as in Go's clientv3.
 *
 * - `serializableSnapshot`: all reads are at one revision, and the commit requires that no key which was read or is written has
 *   changed since. Unlike Go's, it notices the deletion of a key that is only written.
 * - `serializable`: the same, except that keys which are only written may have changed.
 * - `repeatableReads`: each key is read once, possibly at different revisions; the commit requires that no key which was read has
 *   changed.
 * - `readCommitted`: the commit has no condition, so it may overwrite the changes of others.
 */
export type Isolation = 'serializableSnapshot' | 'serializable' | 'repeatableReads' | 'readCommitted'

/** The effect of a level on reads and on the commit. */
export interface IsolationRules {
  /** All reads are at one revision. */
  readonly isSnapshot: boolean
  /** The commit requires that no key which was read has changed. */
  readonly comparesReads: boolean
  /** The commit requires that no key which is written has changed since the first read. */
  readonly comparesWrites: boolean
}

/** The levels, strictest first. */
export const isolationRules: Readonly<Record<Isolation, IsolationRules>> = {
  serializableSnapshot: { isSnapshot: true, comparesReads: true, comparesWrites: true },
  serializable: { isSnapshot: true, comparesReads: true, comparesWrites: false },
  repeatableReads: { isSnapshot: false, comparesReads: true, comparesWrites: false },
  readCommitted: { isSnapshot: false, comparesReads: false, comparesWrites: false },
}
