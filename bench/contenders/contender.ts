/** A client under measurement, with what the rows ask of it; what it cannot do is absent. */
export interface Contender {
  get(key: string): Promise<unknown>
  put(key: string, value: Buffer): Promise<unknown>
  /** Reads all keys of a prefix and resolves to their number; `onHeld` is called while all that is held at once is held. */
  list?(prefix: string, onHeld?: () => void): Promise<number>
  /** Watches a prefix from a revision on until `count` events have come. */
  watch?(prefix: string, startRevision: number, count: number): Promise<void>
  /** Takes a lock, runs the work, gives it up. */
  withLock?(name: string, work: () => Promise<void>): Promise<void>
  /** A copy of a prefix in memory, and how it is read. */
  follow?(prefix: string): Promise<(key: string) => unknown>
  close(): Promise<void> | void
}

/** Which contender a row names. */
export type ContenderName = 'ours' | 'ours-batching' | 'ours-grpcjs' | 'etcd3' | 'grpcjs' | 'http2'
