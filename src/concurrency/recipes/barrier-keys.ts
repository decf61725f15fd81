import type { KeyRange } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { type Comparison, key } from '../../kv/compare.js'
import { deleteKey, type Operation, put } from '../../kv/operation.js'
import { txn } from '../../kv/txn.js'
import { isForeignPlace, isOfForm, numbered } from './key-form.js'
import { openedKey } from './reserved-names.js'

/** A transaction may have 128 comparisons. */
const maxGuarded = 120

/** The keys of a double barrier as of a revision. */
export interface BarrierState {
  /** Those who are in it or wait, also those who are on their way out. */
  readonly waiters: readonly KeyValue[]
  /** When it was opened last: who came before that does not wait any more. 0 for never. */
  readonly openedAt: number
}

/**
 * The keys of a double barrier. Who enters has a key `<name>/waiters/<unique>`, as in Go's clientv3. That it was opened is
 * kept in `<name>/~ready`. Go has `<name>/ready` for that, which may be a barrier by this name as well: it is written and
 * heeded only where one who does as Go does is among those who enter.
 */
export class BarrierKeys {
  readonly name: string
  /** Where the keys of those who enter are. */
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
    const isWaiter = isOfForm('place', this.folder, kv)
    if (isWaiter) this.#hasGo ||= isForeignPlace(this.folder, kv)
    return isWaiter
  }

  stateOf(kvs: readonly KeyValue[]): BarrierState {
    const waiters = kvs.filter((kv) => this.isWaiter(kv))
    return { waiters, openedAt: Math.max(0, ...kvs.map((kv) => this.openingBy(kv) ?? 0)) }
  }

  /** The revision at which it was opened, if the key shows that. */
  openingBy(kv: KeyValue): number | undefined {
    const name = kv.key.toString()
    if (name === this.opened) return Number(kv.value.toString()) || kv.modRevision
    return name === this.openedOfGo && this.#hasGo ? kv.modRevision : undefined
  }

  /** Holds only while a caller whose key was created at `revision` waits; the key may also be rewritten after the opening. */
  notOpenedSince(revision: number): Comparison {
    return key(this.opened).modRevision.less(revision)
  }

  /** Hold as long as the counted keys exist. */
  areThere(waiters: readonly KeyValue[]): Comparison[] {
    return waiters.slice(0, maxGuarded).map((kv) => key(kv.key).createRevision.equals(kv.createRevision))
  }

  open(): Operation[] {
    return this.#hasGo ? [put(this.opened, ''), put(this.openedOfGo, '')] : [put(this.opened, '')]
  }

  /** Keeps that one who does as Go does has opened it for those who come when none of them is there any more. */
  keepOpening(revision: number): Operation[] {
    return [put(this.opened, String(revision))]
  }

  /** Takes the signs away that it is open. Only for the last who leaves: until then nobody can have opened it again. */
  close(openedAt: number): Operation[] {
    const isOurs = key(this.openedOfGo).modRevision.equals(openedAt)
    return [deleteKey(this.opened), txn().if(isOurs).then(deleteKey(this.openedOfGo)).asOperation()]
  }
}
