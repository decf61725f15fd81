import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { ownBytes } from '../../core/validate.js'
import { key } from '../../kv/compare.js'
import { put } from '../../kv/operation.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import type { ConcurrencyHost } from '../concurrency-host.js'
import { checkLockName } from '../lock-options.js'
import { itemName } from '../unique-name.js'
import { ItemConsumer } from './item-consumer.js'

/** What `enqueue()` resolves to. */
export interface EnqueueResult {
  /** The key of the item. */
  readonly keyText: string
  readonly revision: number
}

/**
 * A queue of items, first in, first out, for any number of producers and consumers. Each item is given to one consumer: one that
 * dies takes its item with it. It uses the keys of Go's clientv3: `<name>/<nanoseconds>`, in the order of their revisions.
 *
 * @example
 * const mails = etcd.queue('mails')
 * await mails.enqueue('ann@example.com')
 * const { valueText } = await mails.dequeue({ timeoutMs: 5000 })
 */
export class Queue {
  /** The name of the queue, in the caller's namespace. */
  readonly name: string
  readonly #store: ConcurrencyHost['store']
  readonly #items: ItemConsumer

  /** Created by `queue()`. */
  constructor(name: string, host: Pick<ConcurrencyHost, 'store' | 'obstacle'>) {
    this.name = checkLockName(name)
    this.#store = host.store
    this.#items = new ItemConsumer({ folder: `${name}/`, form: 'item', sort: { target: 'modRevision' } }, host)
  }

  /** Adds an item. Not repeated after a lost answer: the effect of the error is then `unknown`. */
  async enqueue(value: Bytes, options: CallOptions = {}): Promise<EnqueueResult> {
    checkCall('enqueue()', options)
    const bytes = ownBytes('value', value)
    for (;;) {
      const item = `${this.name}/${itemName()}`
      const transaction = this.#store.txn().if(key(item).missing()).then(put(item, bytes))
      const { succeeded, revision } = await transaction.commit(options)
      if (succeeded) return { keyText: item, revision }
    }
  }

  /**
   * Takes the oldest item, or waits for one. There is no time limit unless `timeoutMs` or `signal` sets one; an item that is being
   * taken at that moment is still returned, within the client's `timeoutMs`.
   *
   * @throws `DEADLINE_EXCEEDED` after `timeoutMs`, and the reason of `signal`. `ClaimUnknownError`, which contains the item, if the
   * answer to its removal was lost.
   */
  async dequeue(options: CallOptions = {}): Promise<KeyValue> {
    return this.#items.take(options)
  }

  /** Counts the items in the queue. It reads the keys of all of them. */
  async size(options: CallOptions = {}): Promise<number> {
    return this.#items.count(options)
  }
}
