import type { KeyValue } from '../core/key-value.js'
import type { Event } from '../protobuf/generated/messages.js'

/** One change of one key. */
export class WatchEvent {
  readonly type: 'put' | 'delete'
  /** The key after the change. Of a deletion it holds the key and, as `modRevision`, the revision of the deletion. */
  readonly kv: KeyValue
  /** The key before the change; only with the option `prevKv`, and while history still has it. */
  readonly prevKv: KeyValue | undefined

  constructor(type: 'put' | 'delete', kv: KeyValue, prevKv: KeyValue | undefined) {
    this.type = type
    this.kv = kv
    this.prevKv = prevKv
  }

  /** The revision of the change. All events of one transaction share it. */
  get revision(): number {
    return this.kv.modRevision
  }

  /** Whether the key is new: it did not exist, or had been deleted. */
  get created(): boolean {
    return this.type === 'put' && this.kv.createRevision === this.kv.modRevision
  }

  /** The key as text; throws `DECODE_FAILED` where it is not valid UTF-8. */
  get keyText(): string {
    return this.kv.keyText
  }

  /** The new value as text, empty for a deletion; throws `DECODE_FAILED` where it is not valid UTF-8. */
  get valueText(): string {
    return this.kv.valueText
  }
}

/** All events of one revision in a watched range. Without events, word that there are none up to this revision. */
export interface WatchBatch {
  readonly revision: number
  readonly events: readonly WatchEvent[]
  /**
   * Set where history was compacted and a listing at `revision` took its place (`onCompacted: 'resync'`): the events are the
   * difference to what was told before.
   */
  readonly resync?: true | undefined
}

/** Events as they came from the wire, grouped by revision; those below `from` are left out. */
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

/** How many of these events belong to revisions that are complete, although more events follow: all but the last revision's. */
export function completeCount(events: readonly Event[]): number {
  const revision = events.at(-1)?.kv?.modRevision
  return events.findLastIndex(({ kv }) => kv?.modRevision !== revision) + 1
}
