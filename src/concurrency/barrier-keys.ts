import type { KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { type Comparison, key } from '../kv/compare.js'
import { deleteKey, type Operation, put } from '../kv/operation.js'
import { txn } from '../kv/txn.js'
import { isForeignEntry, isOfForm, numbered } from './key-form.js'
import { openedKey } from './reserved-names.js'

/** A transaction may have 128 comparisons. */
const maxGuarded = 120

/** The keys of a double barrier as of a revision. */
export interface BarrierState {
  /** The participants that have entered or wait, including those that are about to leave. */
  readonly waiters: readonly KeyValue[]
  /** The revision of the last opening, which lets in everybody that came before it; 0 for none. */
  readonly openedAt: number
}

/**
 * The keys of a double barrier. A participant has a key `<name>/waiters/<unique>`, as in Go's clientv3. `<name>/~ready` records the
 * opening. Go records it in `<name>/ready`, which may also be a barrier of this name: that key is written and read only if one of
 * the participants behaves like Go's clientv3.
 */
export class BarrierKeys {
  readonly name: string
  /** The folder of the participants' keys. */
  readonly folder: string
  readonly opened: string
  readonly openedOfGo: string
  #hasGo = false

  constructor(name: string) {
    this.name = name
    this.folder = `${name}/waiters/`
    this.opened = openedKey(name)
    this.openedOfGo = `${name}/ready`
  }

  get ranges(): readonly KeyRange[] {
    return [numbered(this.folder), { key: this.opened }, { key: this.openedOfGo }]
  }

  isWaiter(kv: KeyValue): boolean {
    const isWaiter = isOfForm('entry', this.folder, kv)
    if (isWaiter) this.#hasGo ||= isForeignEntry(this.folder, kv)
    return isWaiter
  }

  stateOf(kvs: readonly KeyValue[]): BarrierState {
    const waiters = kvs.filter((kv) => this.isWaiter(kv))
    return { waiters, openedAt: Math.max(0, ...kvs.map((kv) => this.openingBy(kv) ?? 0)) }
  }

  /** The revision of the opening, if the key records one. */
  openingBy(kv: KeyValue): number | undefined {
    const name = kv.key.toString()
    if (name === this.opened) return Number(kv.value.toString()) || kv.modRevision
    return name === this.openedOfGo && this.#hasGo ? kv.modRevision : undefined
  }

  /** Holds only while a participant whose key was created at `revision` waits; the key may be rewritten after the opening. */
  notOpenedSince(revision: number): Comparison {
    return key(this.opened).modRevision.less(revision)
  }

  /** Hold as long as the counted keys exist. */
  exist(waiters: readonly KeyValue[]): Comparison[] {
    return waiters.slice(0, maxGuarded).map((kv) => key(kv.key).createRevision.equals(kv.createRevision))
  }

  open(): Operation[] {
    return this.#hasGo ? [put(this.opened, ''), put(this.openedOfGo, '')] : [put(this.opened, '')]
  }

  /** Records an opening by a client that behaves like Go's, for participants that come when that client has left. */
  keepOpening(revision: number): Operation[] {
    return [put(this.opened, String(revision))]
  }

  /** Deletes the records of the opening. Only the last participant does this: until then there can be no other opening. */
  close(openedAt: number): Operation[] {
    const isOurs = key(this.openedOfGo).modRevision.equals(openedAt)
    return [deleteKey(this.opened), txn().if(isOurs).then(deleteKey(this.openedOfGo)).asOperation()]
  }
}
