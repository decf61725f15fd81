import type { KeyValue } from '../../core/key-value.js'
import type { LockHolder } from './lock-errors.js'

/**
 * The keys that stand for a place in a queue: what follows the queue's bytes is the lease that the key has, as Go's clientv3,
 * etcdctl and the servers write it. Everything else that begins with these bytes has nothing to do with the lock: keys of
 * locks and other recipes whose names begin with that of this one and a slash, and data.
 */
export function placesOf(queue: Uint8Array, kvs: readonly KeyValue[]): readonly KeyValue[] {
  return kvs.filter((kv) => isPlace(queue, kv))
}

/** Whether a key that begins with the queue's bytes stands for a place in it. Needs a key that was read with its lease. */
export function isPlace(queue: Uint8Array, { key, lease }: KeyValue): boolean {
  return lease !== undefined && isLease(key.toString('latin1', queue.length), lease)
}

/** Go writes a lease whose ID is negative with a sign. */
function isLease(text: string, lease: string): boolean {
  if (text === lease) return true
  return text.startsWith('-') && BigInt.asUintN(64, -BigInt(`0x${lease}`)).toString(16) === text.slice(1)
}

/** The place that holds the lock, or leads. */
export function oldestOf(queue: Uint8Array, kvs: Iterable<KeyValue>): KeyValue | undefined {
  let oldest: KeyValue | undefined
  for (const kv of kvs) {
    if (!isPlace(queue, kv)) continue
    if (oldest === undefined || kv.createRevision < oldest.createRevision) oldest = kv
  }
  return oldest
}

/** What a key tells of its holder; `prefix` is the number of bytes before the keys of the caller's keyspace. */
export function holderOf({ key, value, lease, createRevision }: KeyValue, prefix: number): LockHolder {
  return { keyText: key.subarray(prefix).toString(), valueText: value.toString(), lease, createRevision }
}
