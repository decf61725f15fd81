import type { KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'

/**
 * The forms of keys, by which they belong to a lock, a barrier or a queue. Names nest: below `jobs/` may be the keys of a queue,
 * and those of locks, semaphores and queues with names that begin with `jobs/`. So a key counts only if everything after the
 * folder has the expected form, with a lease if it stands for a process, and without one if it stands for an item.
 */
const forms = {
  /** Nanoseconds, as Go's clientv3 writes them, followed by 128 random bits if etcdkit created the key. */
  entry: /^\d{17,20}(-[0-9a-f]{32})?$/,
  item: /^\d{17,20}$/,
  /** A priority, and the number of the item. */
  prioritized: /^\d{5}\/\d{16}$/,
  /** The number of an item below its priority. */
  number: /^\d{16}$/,
}

export type KeyForm = keyof typeof forms

/** Whether a key, read with its lease, has this form directly below `folder`. */
export function isOfForm(form: KeyForm, folder: string, kv: KeyValue): boolean {
  const needsLease = form === 'entry'
  return (kv.lease !== undefined) === needsLease && forms[form].test(nameIn(folder, kv) ?? '')
}

/** Whether an entry was created by Go's clientv3, or by another client that behaves like it. */
export function isForeignEntry(folder: string, kv: KeyValue): boolean {
  return isOfForm('entry', folder, kv) && nameIn(folder, kv)?.includes('-') === false
}

/** The keys of a folder with names that begin with a digit, as those of all forms do: this leaves out most others. */
export function numbered(folder: string): KeyRange {
  return { from: `${folder}0`, to: `${folder}:` }
}

function nameIn(folder: string, { key }: KeyValue): string | undefined {
  const begin = Buffer.from(folder)
  return key.subarray(0, begin.length).equals(begin) ? key.toString('latin1', begin.length) : undefined
}
