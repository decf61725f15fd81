import { KeyValue } from '../../src/core/key-value.js'
import type { Change } from '../../src/informer/change.js'
import { type Entry, entryOf } from '../../src/informer/entry.js'
import { InformerSnapshot } from '../../src/informer/snapshot.js'
import { type WatchBatch, WatchEvent } from '../../src/watch/watch-event.js'

/** A key as etcd returns it. */
export function kvOf(key: string | Uint8Array, value: string, revision: number, createRevision = revision): KeyValue {
  const fields = { modRevision: revision, createRevision, version: revision - createRevision + 1 }
  return Object.assign(new KeyValue(), { key: Buffer.from(key), value: Buffer.from(value), ...fields })
}

/** An entry of a key with text. */
export function textEntry(key: string | Uint8Array, value = 'value', revision = 1): Entry<string> {
  return entryOf(kvOf(key, value, revision), value)
}

/** A snapshot of keys with text, which must be given in order. */
export function snapshotOf(keys: readonly string[], revision: number): InformerSnapshot<string> {
  return InformerSnapshot.of(
    keys.map((key) => textEntry(key)),
    revision,
  )
}

/** One revision: keys with their new values, or `undefined` for deleted keys. */
export function batchOf(
  revision: number,
  values: Readonly<Record<string, string | undefined>>,
  isNew = true,
): WatchBatch {
  const events = Object.entries(values).map(([key, value]) =>
    value === undefined
      ? new WatchEvent(
          'delete',
          Object.assign(new KeyValue(), { key: Buffer.from(key), modRevision: revision }),
          undefined,
        )
      : new WatchEvent('put', kvOf(key, value, revision, isNew ? revision : 1), undefined),
  )
  return { revision, events }
}

/** A change in short: `+key=value`, `~key=old>value`, `-key=old`. */
export function inShort(change: Change<unknown>): string {
  const { type, keyText, value, old } = change
  if (type === 'add') return `+${keyText}=${value}`
  return type === 'update' ? `~${keyText}=${old?.value}>${value}` : `-${keyText}=${old?.value}`
}

/** A promise settled by the test, for a handler that waits or a source that responds later. */
export function gate(): { readonly promise: Promise<void>; open(): void } {
  let open = (): void => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

/** Lets everything run that is ready to run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
}
