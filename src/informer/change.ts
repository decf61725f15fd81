import type { Entry } from './entry.js'
import type { InformerSnapshot } from './snapshot.js'

/**
 * Where a change comes from:
 *
 * - `list`: the key existed when the informer or the handler started;
 * - `watch`: the key has just changed;
 * - `resync`: the key changed while the informer or this handler could not follow; intermediate changes are not
 *   delivered.
 */
export type ChangeSource = 'list' | 'watch' | 'resync'

/** @inline */
interface ChangeCommon {
  readonly keyText: string
  /** The revision of the change. For a deletion found by a resync, the revision at which the key was absent. */
  readonly revision: number
  readonly source: ChangeSource
  /** Whether the key already existed when the handler joined. */
  readonly initial: boolean
}

/** A change of one key, as delivered to handlers. */
export type Change<T> = ChangeCommon &
  (
    | { readonly type: 'add'; readonly value: T; readonly entry: Entry<T>; readonly old?: undefined }
    | { readonly type: 'update'; readonly value: T; readonly entry: Entry<T>; readonly old: Entry<T> }
    /** `old` is the last known entry of the key. */
    | { readonly type: 'delete'; readonly value?: undefined; readonly entry?: undefined; readonly old: Entry<T> }
  )

/**
 * The changes of one type; `change` stands for all.
 * @inline
 */
export type ChangeOfType<T, Type extends string> = Type extends 'change'
  ? Change<T>
  : Extract<Change<T>, { readonly type: Type }>

/** The change from `old` to `entry`, at least one of which must be defined. */
export function changeOf<T>(
  old: Entry<T> | undefined,
  entry: Entry<T> | undefined,
  { revision, source, initial }: Pick<ChangeCommon, 'revision' | 'source' | 'initial'>,
): Change<T> | undefined {
  if (entry !== undefined) {
    const { keyText, value } = entry
    if (old === undefined) return { type: 'add', keyText, value, entry, revision: entry.modRevision, source, initial }
    return { type: 'update', keyText, value, entry, old, revision: entry.modRevision, source, initial }
  }
  return old && { type: 'delete', keyText: old.keyText, old, revision, source, initial }
}

/** The changes between two snapshots, in key order. */
export function* changesBetween<T>(
  from: InformerSnapshot<T>,
  to: InformerSnapshot<T>,
  source: ChangeSource,
  initial: boolean,
): Generator<Change<T>, void, undefined> {
  for (const { old, entry } of from.differences(to)) {
    const change = changeOf(old, entry, { revision: to.revision, source, initial })
    if (change !== undefined) yield change
  }
}
