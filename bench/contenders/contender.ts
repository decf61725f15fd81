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

/** The cluster of a row, as a contender needs to know it. */
export interface Target {
  readonly endpoints: readonly string[]
  /** The certificate authority of a cluster that serves TLS, as PEM. */
  readonly ca: string | undefined
  readonly auth: { readonly username: string; readonly password: string } | undefined
}

/** Which contender a row names. */
export type ContenderName = 'ours' | 'ours-batching' | 'ours-grpcjs' | 'etcd3' | 'grpcjs' | 'http2' | 'go-clientv3'
