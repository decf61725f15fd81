import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { keyBytes } from '../../core/validate.js'
import { key } from '../../kv/compare.js'
import { put } from '../../kv/operation.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { checkLockName } from '../lock/lock-options.js'
import { ItemLine } from './item-line.js'
import type { RecipeHost } from './recipe-host.js'
import { itemName } from './unique-name.js'

/** What `enqueue()` resolves to. */
export interface EnqueueResult {
  readonly keyText: string
  readonly revision: number
}

/**
 * Items that any number of producers add and any number of consumers take, first in, first out. Keys are those of Go's
 * clientv3: `<name>/<unique>`, in the order of their revisions. An item is given to one consumer, which has it alone from
 * then on: one that dies takes its item with it.
 */
export class Queue {
  readonly name: string
  readonly #store: RecipeHost['store']
  readonly #items: ItemLine

  /** Made by `queue()`. */
  constructor(name: string, host: Pick<RecipeHost, 'store' | 'obstacle'>) {
    this.name = checkLockName(name)
    this.#store = host.store
    this.#items = new ItemLine({ folder: `${name}/`, form: 'item', sort: { target: 'modRevision' } }, host)
  }

  /** Adds an item. Sent once: with a lost answer its effect is unknown. */
  async enqueue(value: Bytes, options: CallOptions = {}): Promise<EnqueueResult> {
    checkCall('enqueue()', options)
    const bytes = keyBytes('value', value)
    for (;;) {
      const item = `${this.name}/${itemName()}`
      const transaction = this.#store.txn().if(key(item).missing()).then(put(item, bytes))
      const { succeeded, revision } = await transaction.commit(options)
      if (succeeded) return { keyText: item, revision }
    }
  }

  /**
   * Takes the oldest item, or waits for one: as long as it takes, unless `timeoutMs`, which ends it with
   * `DEADLINE_EXCEEDED`, or `signal` bound it. An item that was being taken at that moment is still resolved with. Rejects
   * with a `ClaimUnknownError`, which has the item, when the answer to taking it was lost.
   */
  async dequeue(options: CallOptions = {}): Promise<KeyValue> {
    return this.#items.take(options)
  }

  /** The number of items that wait. */
  async size(options: CallOptions = {}): Promise<number> {
    return this.#items.count(options)
  }
}
