import type { KeyRange } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'

/**
 * Which keys belong to a recipe. Names nest: below `jobs/` may be the keys of a queue, and of locks, semaphores and
 * queues whose names begin with `jobs/`. So a key counts only if all of what follows the folder has the form that the
 * recipe writes, and if it has a lease where it stands for a process, and none where it stands for an item.
 */
const forms = {
  /** Nanoseconds, as Go's clientv3 writes them, and the number that nobody can guess where the key is from here. */
  place: /^\d{17,20}(-[0-9a-f]{32})?$/,
  item: /^\d{17,20}$/,
  /** A priority, and the number of the item. */
  prioritized: /^\d{5}\/\d{16}$/,
  /** A number of an item below its priority. */
  number: /^\d{16}$/,
}

/** What stands in a recipe's folder. */
export type KeyForm = keyof typeof forms

/** Whether a key that was read with its lease is one of a recipe's, directly below `folder`. */
export function isOfForm(form: KeyForm, folder: string, kv: KeyValue): boolean {
  const needsLease = form === 'place'
  return (kv.lease !== undefined) === needsLease && forms[form].test(nameIn(folder, kv) ?? '')
}

/** Whether a place is one of Go's clientv3, or of another client that does as that. */
export function isForeignPlace(folder: string, kv: KeyValue): boolean {
  return isOfForm('place', folder, kv) && nameIn(folder, kv)?.includes('-') === false
}

/** The keys of a folder whose names begin with a digit, as those of all forms do: most others are left out by that. */
export function numbered(folder: string): KeyRange {
  return { from: `${folder}0`, to: `${folder}:` }
}

function nameIn(folder: string, { key }: KeyValue): string | undefined {
  const begin = Buffer.from(folder)
  return key.subarray(0, begin.length).equals(begin) ? key.toString('latin1', begin.length) : undefined
}
