/**
 * What a software transaction is protected from, as in Go's clientv3.
 *
 * - `serializableSnapshot`: it reads everything as of one moment, and is committed only if since then nobody has changed a
 *   key that it read or writes. Unlike Go's, it notices the deletion of a key that it only writes.
 * - `serializable`: the same, except that a key which it only writes may have been changed.
 * - `repeatableReads`: each key is read once, but two keys maybe not as of the same moment; it is committed only if nobody
 *   has changed a key that it read.
 * - `readCommitted`: it is committed whatever others have done meanwhile, so that their changes can be overwritten.
 */
export type Isolation = 'serializableSnapshot' | 'serializable' | 'repeatableReads' | 'readCommitted'

/** What a level means for reads and for the commit. */
export interface IsolationRules {
  /** All reads are as of one revision. */
  readonly isSnapshot: boolean
  /** The commit needs every key that was read to be unchanged. */
  readonly comparesReads: boolean
  /** The commit needs every key that is written to be unchanged since the first read. */
  readonly comparesWrites: boolean
}

/** The levels, strictest first. */
export const isolationRules: Readonly<Record<Isolation, IsolationRules>> = {
  serializableSnapshot: { isSnapshot: true, comparesReads: true, comparesWrites: true },
  serializable: { isSnapshot: true, comparesReads: true, comparesWrites: false },
  repeatableReads: { isSnapshot: false, comparesReads: true, comparesWrites: false },
  readCommitted: { isSnapshot: false, comparesReads: false, comparesWrites: false },
}
