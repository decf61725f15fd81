import { isEtcdError } from '../../core/errors.js'
import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { type Comparison, key as keyOf } from '../../kv/compare.js'
import { get } from '../../kv/operation.js'
import type { RangeResult } from '../../kv/results.js'
import type { Txn } from '../../kv/txn.js'
import type { CallOptions } from '../../transport/transport.js'

/** The keyspace of software transactions. */
export interface StmStore {
  txn(): Txn
  range(
    key: Bytes,
    options: {
      readonly mode: 'serializable'
      readonly revision?: number | undefined
      readonly keysOnly: boolean
    } & CallOptions,
  ): Promise<RangeResult>
}

/** Keys at one revision. */
export interface Snapshot {
  readonly revision: number
  readonly kvs: ReadonlyMap<string, KeyValue | undefined>
}

/** A key that was read, and its value. */
interface Seen {
  readonly key: Buffer
  readonly kv: KeyValue | undefined
}

/** A key as the key of a map: keys need not be text. */
export function idOf(key: Buffer): string {
  return key.toString('latin1')
}

/** Reads keys linearizably, in one round trip. */
export async function load(store: StmStore, keys: readonly Buffer[], options: CallOptions): Promise<Snapshot> {
  const { revision, responses } = await store
    .txn()
    .then(...keys.map((key) => get(key)))
    .commit(options)
  return { revision, kvs: new Map(keys.map((key, index) => [idOf(key), responses[index]])) }
}

/** The reads of one run of a software transaction: each key is read once. */
export class ReadSet {
  readonly #store: StmStore
  readonly #isSnapshot: boolean
  readonly #known: Snapshot | undefined
  readonly #options: () => CallOptions
  readonly #reads = new Map<string, Promise<KeyValue | undefined>>()
  readonly #seen = new Map<string, Seen>()
  /** Of a snapshot: the revision of all reads, from the first one on. */
  #base: Promise<number> | undefined
  /** The newest revision of a read; of a snapshot, the only one. 0 before the first read. */
  revision = 0
  /** The first read that failed: writes that the function derives from it must not be committed. */
  failure: { readonly error: unknown } | undefined

  /** `known` are values that count as read when the function asks for them. `options` limit each read. */
  constructor(store: StmStore, isSnapshot: boolean, known: Snapshot | undefined, options: () => CallOptions) {
    this.#store = store
    this.#isSnapshot = isSnapshot
    this.#known = known
    this.#options = options
    if (known === undefined) return
    if (isSnapshot) this.#base = Promise.resolve(known.revision)
    this.revision = known.revision
  }

  /** Whether the revision of the snapshot was compacted, so that only a later one can be read. */
  get isCompacted(): boolean {
    return this.failure !== undefined && isEtcdError(this.failure.error, 'COMPACTED')
  }

  get keys(): Buffer[] {
    return [...this.#seen.values()].map(({ key }) => key)
  }

  has(key: Buffer): boolean {
    return this.#seen.has(idOf(key))
  }

  read(keys: readonly Buffer[]): Promise<(KeyValue | undefined)[]> {
    const missing = [...new Map(keys.map((key) => [idOf(key), key]))].filter(([id]) => !this.#reads.has(id))
    for (const [id, key] of missing) {
      if (this.#known?.kvs.has(id) === true) this.#keep(id, key, Promise.resolve(this.#known.kvs.get(id)))
    }
    const unknown = missing.filter(([id]) => !this.#reads.has(id))
    if (unknown.length > 0) {
      const fetching = this.#fetch(unknown.map(([, key]) => key))
      for (const [index, [id, key]] of unknown.entries()) {
        this.#keep(
          id,
          key,
          fetching.then((kvs) => kvs[index]),
        )
      }
    }
    return Promise.all(keys.map((key) => this.#reads.get(idOf(key))))
  }

  /** Hold if each key that was read still has the same revision. */
  comparisons(): Comparison[] {
    return [...this.#seen.values()].map(({ key, kv }) => unchanged(key, kv))
  }

  /** The same for keys that were not read, at the revision of the snapshot. They do not count as read. */
  async comparisonsOf(keys: readonly Buffer[]): Promise<Comparison[]> {
    const unknown = keys.filter((key) => this.#known?.kvs.has(idOf(key)) !== true)
    const fetched = unknown.length === 0 ? [] : await this.#fetchAt(unknown, this.revision, true)
    const found = new Map(unknown.map((key, index) => [idOf(key), fetched[index]]))
    return keys.map((key) => unchanged(key, found.get(idOf(key)) ?? this.#known?.kvs.get(idOf(key))))
  }

  #keep(id: string, key: Buffer, value: Promise<KeyValue | undefined>): void {
    this.#reads.set(id, value)
    value.then(
      (kv) => this.#seen.set(id, { key, kv }),
      (error: unknown) => {
        this.failure ??= { error }
      },
    )
  }

  async #fetch(keys: readonly Buffer[]): Promise<(KeyValue | undefined)[]> {
    if (!this.#isSnapshot) return this.#fetchAt(keys, undefined)
    if (this.#base !== undefined) return this.#fetchAt(keys, await this.#base)
    const first = load(this.#store, keys, this.#options())
    // Reads that begin before the answer wait for its revision, and fail with it.
    this.#base = first.then(({ revision }) => revision)
    this.#base.catch(() => {})
    const { revision, kvs } = await first
    this.revision = revision
    return keys.map((key) => kvs.get(idOf(key)))
  }

  /** A past revision is the same on every member, so a single key is read from any of them. */
  async #fetchAt(keys: readonly Buffer[], at: number | undefined, keysOnly = false): Promise<(KeyValue | undefined)[]> {
    const [key] = keys
    if (key !== undefined && keys.length === 1) {
      const options = { ...this.#options(), mode: 'serializable' as const, revision: at, keysOnly }
      const { revision, kvs } = await this.#store.range(key, options)
      this.revision = Math.max(this.revision, revision)
      return kvs
    }
    const operations = keys.map((one) => get(one, at === undefined ? { keysOnly } : { revision: at, keysOnly }))
    const { revision, responses } = await this.#store
      .txn()
      .then(...operations)
      .commit(this.#options())
    if (at === undefined) this.revision = Math.max(this.revision, revision)
    return responses
  }
}

function unchanged(key: Buffer, kv: KeyValue | undefined): Comparison {
  return keyOf(key).modRevision.equals(kv?.modRevision ?? 0)
}
