import type { Codec } from '../core/codec.js'
import { DiskSnapshot } from './disk-snapshot.js'
import type { Entry } from './entry.js'
import type { InformerSource } from './informer-options.js'
import type { Gap } from './reflector.js'
import type { InformerSnapshot } from './snapshot.js'

/** What an earlier process left of an informer, until the first listing takes its place, and what this one will leave. */
export class PersistedState<T> {
  readonly #cluster: InformerSource['cluster']
  readonly #onError: (error: unknown) => void
  readonly #disk: DiskSnapshot<T> | undefined
  #left: { readonly revision: number; readonly clusterId: string | undefined } | undefined

  /** Without a `path`, nothing was left and nothing will be. */
  constructor(
    path: string | undefined,
    { owner, cluster }: Pick<InformerSource, 'owner' | 'cluster'>,
    codec: Codec<T>,
    onError: (error: unknown) => void,
  ) {
    this.#cluster = cluster
    this.#onError = onError
    if (path === undefined) return
    this.#disk = new DiskSnapshot(path, { ...owner, clusterId: () => cluster.clusterId }, codec, onError)
  }

  /** Whether reads show what was left. */
  get isShown(): boolean {
    return this.#left !== undefined
  }

  /** Gives what was left to `store`. Why it cannot be used is an error in the next microtask: before, nobody can listen. */
  load(store: { load(entries: readonly Entry<T>[], revision: number): void }): void {
    const left = this.#disk?.load()
    if (left === undefined) return
    if ('error' in left) {
      queueMicrotask(() => this.#onError(left.error))
      return
    }
    this.#left = left
    store.load(left.entries, left.revision)
  }

  /**
   * The first listing has taken its place. Returns what lies between: what was left may be of another cluster, or of this
   * one before it was restored.
   */
  replaced(revision: number): Gap | undefined {
    const left = this.#left
    this.#left = undefined
    if (left === undefined) return undefined
    const isOther = left.clusterId !== this.#cluster.clusterId
    if (!isOther && left.revision <= revision) return undefined
    const code = isOther ? 'CLUSTER_CHANGED' : 'REVISION_REWOUND'
    return { code, fromRevision: left.revision, compactRevision: undefined }
  }

  /** Has the state written before long. */
  save(state: { readonly snapshot: InformerSnapshot<T> }): void {
    this.#disk?.save(state)
  }

  async close(): Promise<void> {
    await this.#disk?.close()
  }
}
