import type { KeyValue, KeyValueJson } from '../core/key-value.js'
import { printedBytes, printInConsole } from '../core/printing.js'
import type { Event } from '../protobuf/generated/messages.js'

/** A change in JSON; see `KeyValueJson` for the form of the keys. */
export interface WatchEventJson {
  readonly type: 'put' | 'delete'
  readonly revision: number
  readonly kv: KeyValueJson
  readonly prevKv?: KeyValueJson | undefined
}

/** One change of one key. */
export class WatchEvent {
  static {
    printInConsole(this, printed)
  }
  readonly type: 'put' | 'delete'
  /** The key after the change. For a deletion, only `key` and `modRevision`, the revision of the deletion, are set. */
  readonly kv: KeyValue
  /** The key before the change. Set only with the option `prevKv`, and unless that revision has been compacted. */
  readonly prevKv: KeyValue | undefined

  constructor(type: 'put' | 'delete', kv: KeyValue, prevKv: KeyValue | undefined) {
    this.type = type
    this.kv = kv
    this.prevKv = prevKv
  }

  /** The revision of the change. All events of one transaction have the same revision. */
  get revision(): number {
    return this.kv.modRevision
  }

  /** Whether the put created the key: it did not exist before, or had been deleted. */
  get created(): boolean {
    return this.type === 'put' && this.kv.createRevision === this.kv.modRevision
  }

  /** The key as text. @throws `DECODE_FAILED` if it is not valid UTF-8 */
  get keyText(): string {
    return this.kv.keyText
  }

  /** The new value as text; empty for a deletion. @throws `DECODE_FAILED` if it is not valid UTF-8 */
  get valueText(): string {
    return this.kv.valueText
  }

  /** The change for JSON. */
  toJSON(): WatchEventJson {
    const { type, revision, kv, prevKv } = this
    return { type, revision, kv: kv.toJSON(), prevKv: prevKv?.toJSON() }
  }
}

function printed({ type, kv, prevKv, revision, created }: WatchEvent): object {
  const value = type === 'put' ? printedBytes(kv.value) : undefined
  const prevValue = prevKv && printedBytes(prevKv.value)
  return { type, key: printedBytes(kv.key), value, prevValue, revision, created: created || undefined }
}

/** All events of one revision in a watched range. A batch without events is a progress notification. */
export interface WatchBatch {
  /** All events up to and including this revision have been delivered. */
  readonly revision: number
  readonly events: readonly WatchEvent[]
  /**
   * Set if revisions were compacted and a listing at `revision` replaced them (`onCompacted: 'resync'`): the events are the
   * difference from the state that was delivered before.
   */
  readonly resync?: true | undefined
}

/** Groups the events of a response by revision; events below `from` are dropped. */
export function batchesOf(events: readonly Event[], from: number): WatchBatch[] {
  const batches: { readonly revision: number; readonly events: WatchEvent[] }[] = []
  let last: (typeof batches)[number] | undefined
  for (const { type, kv, prevKv } of events) {
    if (kv === undefined || kv.modRevision < from) continue
    const event = new WatchEvent(type === 'DELETE' ? 'delete' : 'put', kv, prevKv)
    if (last?.revision === kv.modRevision) {
      last.events.push(event)
    } else {
      last = { revision: kv.modRevision, events: [event] }
      batches.push(last)
    }
  }
  return batches
}

/** How many of these events belong to complete revisions when more events follow: all but those of the last revision. */
export function completeCount(events: readonly Event[]): number {
  const revision = events.at(-1)?.kv?.modRevision
  return events.findLastIndex(({ kv }) => kv?.modRevision !== revision) + 1
}
