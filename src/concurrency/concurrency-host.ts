import { isEtcdError } from '../core/errors.js'
import type { KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import type { ListOptions } from '../kv/listing.js'
import type { Txn } from '../kv/txn.js'
import type { Session } from '../lease/session.js'
import type { LockKind } from '../telemetry/records.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchOptions } from '../watch/watch.js'
import type { WatchBatch } from '../watch/watch-event.js'
import type { Watcher } from '../watch/watcher.js'
import type { ReleaseHost } from './release.js'

/** The keyspace that holds the keys. */
export interface KeyStore {
  txn(): Txn
  range(
    range: KeyRange,
    options: CallOptions & { readonly mode?: 'linearizable' },
  ): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }>
  list(range: KeyRange, options: ListOptions): AsyncIterable<KeyValue>
  watch(range: KeyRange, options: WatchOptions): Watcher
}

/** A granted lock, as far as telemetry follows it. */
export interface ObservedLock {
  readonly fence: number
  /** Aborts when the lock is lost. */
  readonly signal: AbortSignal
}

/** Follows the locks of a client. */
export interface LockObserver {
  /** Runs `wait` and follows the lock that it resolves with. `name` includes the namespaces. */
  acquiring<Lock extends ObservedLock>(
    target: { readonly name: Uint8Array; readonly kind: LockKind },
    wait: () => Promise<Lock>,
  ): Promise<Lock>
  lockReleased(lock: ObservedLock): void
}

/** What locks, elections, barriers and queues work with. */
export interface ConcurrencyHost extends ReleaseHost {
  readonly store: KeyStore
  /** The prefix that the store adds to every key. */
  readonly namespace: Buffer
  readonly observer: LockObserver
  /** Time limit of a call without one, in milliseconds. */
  readonly timeoutMs: number
  /** Takes a share in a lease that is kept alive. */
  session(ttlSeconds: number, signal: AbortSignal): Promise<Session>
}

/** The batches of a watch. Ends, where the watch would throw, when its history is compacted: the caller then reads again. */
export async function* batchesUntilCompacted(
  store: Pick<KeyStore, 'watch'>,
  range: KeyRange,
  options: WatchOptions,
): AsyncGenerator<WatchBatch, void, undefined> {
  try {
    yield* store.watch(range, options).batches()
  } catch (error) {
    if (!isEtcdError(error, 'COMPACTED')) throw error
  }
}
