import type { KeyRange } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import type { ListOptions } from '../../kv/listing.js'
import type { Txn } from '../../kv/txn.js'
import type { WatchOptions } from '../../watch/watch.js'
import type { Watcher } from '../../watch/watcher.js'
import type { LockSession } from '../lock/lock-key.js'
import type { LockObserver } from '../lock/lock-observer.js'
import type { ReleaseHost } from '../lock/release.js'

/** The keyspace that recipes keep their keys in. */
export interface RecipeStore {
  txn(): Txn
  list(range: KeyRange, options: ListOptions): AsyncIterable<KeyValue>
  watch(range: KeyRange, options: WatchOptions): Watcher
}

/** What recipes work with. */
export interface RecipeHost extends ReleaseHost {
  readonly store: RecipeStore
  /** What comes before all keys of the store. */
  readonly namespace: Buffer
  /** Who follows the locks of a client. */
  readonly observer: LockObserver
  /** A part in a lease that is kept alive. */
  session(ttlSeconds: number, signal: AbortSignal): Promise<LockSession>
}
