import type { Codec } from '../core/codec.js'
import { DiskSnapshot, type UnsavedState } from './disk-snapshot.js'
import type { Entry } from './entry.js'
import type { InformerSource } from './informer-options.js'
import type { Gap } from './reflector.js'
import type { InformerSnapshot } from './snapshot.js'

/** The entries of an informer. */
export interface PersistedStore<T> {
  readonly snapshot: InformerSnapshot<T>
  load(entries: readonly Entry<T>[], revision: number): void
}

/** The state left by an earlier process, until the first listing replaces it, and the state this process will leave. */
export class PersistedState<T> implements UnsavedState<T> {
  readonly #cluster: InformerSource['cluster']
  readonly #store: PersistedStore<T>
  readonly #onError: (error: unknown) => void
  readonly #disk: DiskSnapshot<T> | undefined
  #left: { readonly revision: number; readonly clusterId: string | undefined } | undefined
  #clusterId: string | undefined

  /** Without a `path`, there is no stored state. */
  constructor(
    path: string | undefined,
    { owner, cluster }: Pick<InformerSource, 'owner' | 'cluster'>,
    store: PersistedStore<T>,
    codec: Codec<T>,
    onError: (error: unknown) => void,
  ) {
    this.#cluster = cluster
    this.#store = store
    this.#onError = onError
    if (path === undefined) return
    this.#disk = new DiskSnapshot(path, { ...owner, clusterId: () => cluster.clusterId }, codec, onError)
  }

  /** Whether reads show the stored state. */
  get isShown(): boolean {
    return this.#left !== undefined
  }

  /** What is stored next. */
  get snapshot(): InformerSnapshot<T> {
    return this.#store.snapshot
  }

  /** The cluster of the last listing: its entries stay until the next one, also when the client follows another cluster. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  /** Loads the stored state. An error is reported in the next microtask, when listeners can be attached. */
  load(): void {
    const left = this.#disk?.load()
    if (left === undefined) return
    if ('error' in left) {
      queueMicrotask(() => this.#onError(left.error))
      return
    }
    this.#left = left
    this.#store.load(left.entries, left.revision)
  }

  /**
   * A listing has replaced the state. Returns the gap between the stored state and the first listing: the stored state may
   * be from another cluster, or from before a restore.
   */
  listed(revision: number): Gap | undefined {
    const left = this.#left
    this.#left = undefined
    this.#clusterId = this.#cluster.clusterId
    this.save()
    if (left === undefined) return undefined
    const isOther = left.clusterId !== this.#clusterId
    if (!isOther && left.revision <= revision) return undefined
    const code = isOther ? 'CLUSTER_CHANGED' : 'REVISION_REWOUND'
    return { code, fromRevision: left.revision, compactRevision: undefined }
  }

  /** Schedules a write of the state. */
  save(): void {
    this.#disk?.save(this)
  }

  async close(): Promise<void> {
    await this.#disk?.close()
  }
}
