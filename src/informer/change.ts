import type { Entry } from './entry.js'
import type { InformerSnapshot } from './snapshot.js'

/**
 * Why a change is told:
 *
 * - `list`: the informer has found the key when it began;
 * - `watch`: it has just happened;
 * - `resync`: it happened while the informer, or this handler, could not follow: what came in between is not told.
 */
export type ChangeSource = 'list' | 'watch' | 'resync'

/** @inline */
interface ChangeCommon {
  readonly keyText: string
  /** The revision of the change; of a deletion that was found by a resync, the revision at which the key was gone. */
  readonly revision: number
  readonly source: ChangeSource
  /** Part of what there was when the handler joined. */
  readonly initial: boolean
}

/** A change of one key, as handlers are told it. */
export type Change<T> = ChangeCommon &
  (
    | { readonly type: 'add'; readonly value: T; readonly entry: Entry<T>; readonly old?: undefined }
    | { readonly type: 'update'; readonly value: T; readonly entry: Entry<T>; readonly old: Entry<T> }
    /** `old` is the last that was known of the key. */
    | { readonly type: 'delete'; readonly value?: undefined; readonly entry?: undefined; readonly old: Entry<T> }
  )

/** The change from `old` to `entry`, one of which there must be. */
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

/** What leads from one snapshot to another one, in key order. */
export function* changesBetween<T>(
  from: InformerSnapshot<T>,
  to: InformerSnapshot<T>,
  cause: ChangeSource,
  initial: boolean,
): Generator<Change<T>, void, undefined> {
  for (const { old, entry } of from.differences(to)) {
    const change = changeOf(old, entry, { revision: to.revision, source: cause, initial })
    if (change !== undefined) yield change
  }
}
