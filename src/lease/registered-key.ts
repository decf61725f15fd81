import { isEtcdError } from '../core/errors.js'
import type { Bytes, KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { key as keyOf } from '../kv/compare.js'
import { get, put } from '../kv/operation.js'
import type { PutResult } from '../kv/results.js'
import type { Txn } from '../kv/txn.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchOptions } from '../watch/watch.js'
import type { WatchEvent } from '../watch/watch-event.js'

/** The operations that a registration needs, of all keys or those of a namespace. */
export interface RegistrationKv {
  put(key: Bytes, value: Bytes, options: CallOptions & { readonly lease: string }): Promise<PutResult>
  txn(): Txn
  watch(range: KeyRange, options: WatchOptions): AsyncIterable<WatchEvent>
}

/** The state of a key at a revision: whether it exists, and with which lease. */
export interface ObservedKey {
  readonly revision: number
  readonly exists: boolean
  readonly leaseId: string | undefined
}

/** The key of a registration. It is written only while it is missing, or attached to a lease of the registration. */
export class RegisteredKey {
  readonly key: Buffer
  readonly #kv: RegistrationKv
  /** Whether the user may read the key, which compares and watches need. */
  #isReadable = true

  constructor(key: Buffer, kv: RegistrationKv) {
    this.key = key
    this.#kv = kv
  }

  /** Puts the key, also over another owner's. */
  async take(value: Buffer, lease: string, options: CallOptions): Promise<ObservedKey> {
    const { revision } = await this.#kv.put(this.key, value, { ...options, lease })
    return { revision, exists: true, leaseId: lease }
  }

  /** Puts the key if it is missing, or attached to `lease` or one of `former`. Returns its state after that. */
  claim(value: Buffer, lease: string, former: ReadonlySet<string>, options: CallOptions): Promise<ObservedKey> {
    return this.#ifReadable(
      async () => {
        for (;;) {
          const found = await this.#putIfMissing(value, lease, options)
          if (!found.exists || (found.leaseId !== lease && !former.has(found.leaseId ?? ''))) return found
          if (found.isUpToDate) return found
          const replaced = await this.#replace(found, value, lease, options)
          if (replaced !== undefined) return replaced
        }
      },
      () => this.take(value, lease, options),
    )
  }

  /** Puts another value if the key is attached to `lease`. Returns its state after that. */
  update(value: Buffer, lease: string, options: CallOptions): Promise<ObservedKey> {
    return this.#ifReadable(
      async () => {
        const { succeeded, responses, revision } = await this.#kv
          .txn()
          .if(keyOf(this.key).lease.equals(lease))
          .then(put(this.key, value, { lease }))
          .else(get(this.key))
          .commit(options)
        return succeeded ? { revision, exists: true, leaseId: lease } : factOf(responses[0], revision)
      },
      () => this.take(value, lease, options),
    )
  }

  async read(options: CallOptions): Promise<ObservedKey> {
    const { responses, revision } = await this.#kv.txn().then(get(this.key)).commit(options)
    return factOf(responses[0], revision)
  }

  /** The states of the key after `revision`. */
  async *changes(revision: number, signal: AbortSignal): AsyncGenerator<ObservedKey, void, undefined> {
    for await (const { type, kv } of this.#kv.watch(this.key, { startRevision: revision + 1, signal })) {
      yield factOf(type === 'put' ? kv : undefined, kv.modRevision)
    }
  }

  async #putIfMissing(
    value: Buffer,
    lease: string,
    options: CallOptions,
  ): Promise<ObservedKey & { readonly isUpToDate: boolean }> {
    const { succeeded, responses, revision } = await this.#kv
      .txn()
      .if(keyOf(this.key).missing())
      .then(put(this.key, value, { lease }))
      .else(get(this.key))
      .commit(options)
    if (succeeded) return { revision, exists: true, leaseId: lease, isUpToDate: true }
    const kv = responses[0]
    return { ...factOf(kv, revision), isUpToDate: kv?.lease === lease && kv.value.equals(value) }
  }

  async #replace(
    { leaseId }: ObservedKey,
    value: Buffer,
    lease: string,
    options: CallOptions,
  ): Promise<ObservedKey | undefined> {
    const { succeeded, revision } = await this.#kv
      .txn()
      .if(keyOf(this.key).lease.equals(leaseId ?? '0'))
      .then(put(this.key, value, { lease }))
      .commit(options)
    return succeeded ? { revision, exists: true, leaseId: lease } : undefined
  }

  /** A user who may write the key but not read it registers it without a compare, also over another owner's key. */
  async #ifReadable<T>(compare: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
    if (!this.#isReadable) return otherwise()
    try {
      return await compare()
    } catch (error) {
      if (!isEtcdError(error, 'PERMISSION_DENIED')) throw error
      const done = await otherwise()
      this.#isReadable = false
      return done
    }
  }
}

function factOf(kv: KeyValue | undefined, revision: number): ObservedKey {
  return { revision, exists: kv !== undefined, leaseId: kv?.lease }
}
