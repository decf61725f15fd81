import type { KeyValue } from '../core/key-value.js'
import type { LockHolder } from './lock-errors.js'
import type { QueueSpec } from './queue-entry.js'

/** The queue of a lock or an election: keys `<name>/<lease>`, as Go's clientv3, etcdctl and the servers write them. */
export function leaseQueue(name: Buffer): QueueSpec {
  const prefix = Buffer.concat([name, Buffer.from('/')])
  return {
    name,
    watched: { prefix },
    ahead: [{ prefix }],
    maxAhead: 0,
    entryKey: ({ id }) => Buffer.concat([prefix, Buffer.from(id)]),
    isEntry: (kv) => isLeaseEntry(prefix, kv),
  }
}

/**
 * Whether a key that begins with `prefix`, read with its lease, is an entry: the prefix is followed by that lease. All other
 * keys with this prefix are ignored: those of locks, queues and barriers whose names begin with this one and a slash, and data.
 */
export function isLeaseEntry(prefix: Uint8Array, { key, lease }: KeyValue): boolean {
  return lease !== undefined && isLease(key.toString('latin1', prefix.length), lease)
}

/** Go writes a negative lease ID with a sign. */
function isLease(text: string, lease: string): boolean {
  if (text === lease) return true
  return text.startsWith('-') && BigInt.asUintN(64, -BigInt(`0x${lease}`)).toString(16) === text.slice(1)
}

/** The holder that an entry stands for; `namespaceBytes` is the length of the prefix that the caller does not see. */
export function holderOf({ key, value, lease, createRevision }: KeyValue, namespaceBytes: number): LockHolder {
  return { keyText: key.subarray(namespaceBytes).toString(), valueText: value.toString(), lease, createRevision }
}
