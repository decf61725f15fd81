import type { Codec } from '../core/codec.js'
import { DiskSnapshot } from './disk-snapshot.js'
import type { Entry } from './entry.js'
import type { InformerSource } from './informer-options.js'
import type { Gap } from './reflector.js'
import type { InformerSnapshot } from './snapshot.js'

/** The state left by an earlier process, until the first listing replaces it, and the state this process will leave. */
export class PersistedState<T> {
  readonly #cluster: InformerSource['cluster']
  readonly #onError: (error: unknown) => void
  readonly #disk: DiskSnapshot<T> | undefined
  #left: { readonly revision: number; readonly clusterId: string | undefined } | undefined

  /** Without a `path`, there is no stored state. */
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

  /** Whether reads show the stored state. */
  get isShown(): boolean {
    return this.#left !== undefined
  }

  /**
   * Loads the stored state into `store`. An error is reported in the next microtask, when listeners can be attached.
   */
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
   * The first listing has replaced the stored state. Returns the gap between them: the stored state may be from another
   * cluster, or from before a restore.
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

  /** Schedules a write of the state. */
  save(state: { readonly snapshot: InformerSnapshot<T> }): void {
    this.#disk?.save(state)
  }

  async close(): Promise<void> {
    await this.#disk?.close()
  }
}
