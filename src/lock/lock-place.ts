import type { KeyValue } from '../core/key-value.js'
import type { LockHolder } from './lock-errors.js'

const slash = 0x2f

/**
 * The keys that stand for a place in a queue: what follows the queue's bytes is the lease alone. Keys of a lock whose name
 * begins with that of this one and a slash are among those read, and have nothing to do with it.
 */
export function placesOf(queue: Uint8Array, kvs: readonly KeyValue[]): readonly KeyValue[] {
  return kvs.filter(({ key }) => isPlace(queue, key))
}

/** Whether a key that begins with the queue's bytes stands for a place in it. */
export function isPlace(queue: Uint8Array, key: Buffer): boolean {
  return key.indexOf(slash, queue.length) < 0
}

/** The place that holds the lock, or leads. */
export function oldestOf(queue: Uint8Array, kvs: Iterable<KeyValue>): KeyValue | undefined {
  let oldest: KeyValue | undefined
  for (const kv of kvs) {
    if (!isPlace(queue, kv.key)) continue
    if (oldest === undefined || kv.createRevision < oldest.createRevision) oldest = kv
  }
  return oldest
}

/** What a key tells of its holder; `prefix` is the number of bytes before the keys of the caller's keyspace. */
export function holderOf({ key, value, lease, createRevision }: KeyValue, prefix: number): LockHolder {
  return { key: key.subarray(prefix).toString(), value: value.toString(), lease, createRevision }
}
