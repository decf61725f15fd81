import { fullJitterMs } from '../../core/backoff.js'
import { InvalidArgumentError } from '../../core/errors.js'
import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { describe, ownBytes } from '../../core/validate.js'
import { sleep, timeLeft } from '../../core/wait.js'
import { key } from '../../kv/compare.js'
import { put } from '../../kv/operation.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import type { ConcurrencyHost } from '../concurrency-host.js'
import { checkLockName } from '../lock-options.js'
import { counterKey } from '../reserved-names.js'
import { findFirst } from './find-first.js'
import { ItemConsumer } from './item-consumer.js'
import type { EnqueueResult } from './queue.js'

const maxPriority = 65_535
const conflictBackoff = { baseMs: 5, maxMs: 250 }

/**
 * A queue whose items have a priority, from 0 (first) to 65 535 (last); items of one priority are first in, first out. It uses
 * the keys of Go's clientv3: `<name>/<priority>/<number>`, and `__<name>/<priority>`, which producers write to number the items.
 *
 * @example
 * const alerts = etcd.priorityQueue('alerts')
 * await alerts.enqueue('disk full', 0)
 * const { valueText } = await alerts.dequeue()
 */
export class PriorityQueue {
  /** The name of the queue, in the caller's namespace. */
  readonly name: string
  readonly #store: ConcurrencyHost['store']
  readonly #timeoutMs: number
  readonly #items: ItemConsumer

  /** Created by `priorityQueue()`. */
  constructor(name: string, host: Pick<ConcurrencyHost, 'store' | 'obstacle' | 'timeoutMs'>) {
    this.name = checkLockName(name)
    this.#store = host.store
    this.#timeoutMs = host.timeoutMs
    this.#items = new ItemConsumer({ folder: `${name}/`, form: 'prioritized', sort: { target: 'key' } }, host)
  }

  /**
   * Adds an item. Producers that add items of the same priority at the same time wait for each other. Not repeated after a lost
   * answer: the effect of the error is then `unknown`.
   *
   * @param priority From 0 (first) to 65 535 (last).
   * @throws `INVALID_ARGUMENT` for another priority.
   */
  async enqueue(value: Bytes, priority: number, options: CallOptions = {}): Promise<EnqueueResult> {
    checkCall('enqueue()', options)
    if (!Number.isInteger(priority) || priority < 0 || priority > maxPriority) {
      const expected = `an integer from 0 to ${maxPriority}`
      throw new InvalidArgumentError(`\`priority\` must be ${expected}, got ${describe(priority)}`)
    }
    const bytes = ownBytes('value', value)
    const left = timeLeft(options.timeoutMs ?? this.#timeoutMs)
    for (let attempt = 1; ; attempt += 1) {
      const bounds = (): CallOptions => ({ signal: options.signal, timeoutMs: left() })
      const added = await this.#add(String(priority).padStart(5, '0'), bytes, bounds)
      if (added !== undefined) return added
      await sleep(fullJitterMs(attempt, conflictBackoff), options.signal)
    }
  }

  /** Takes the first item, or waits for one; see `Queue.dequeue()`. */
  async dequeue(options: CallOptions = {}): Promise<KeyValue> {
    return this.#items.take(options)
  }

  /** Counts the items in the queue. It reads the keys of all of them. */
  async size(options: CallOptions = {}): Promise<number> {
    return this.#items.count(options)
  }

  /** Resolves with `undefined` if another item of this priority was added in the meantime. */
  async #add(priority: string, value: Buffer, bounds: () => CallOptions): Promise<EnqueueResult | undefined> {
    const folder = `${this.name}/${priority}/`
    const sort = { target: 'key', order: 'descend' } as const
    const { found, revision } = await findFirst(this.#store, { folder, form: 'number', sort }, bounds)
    const number = found === undefined ? 0 : Number(found.keyText.slice(folder.length)) + 1
    const item = `${folder}${String(number).padStart(16, '0')}`
    const counter = counterKey(this.name, priority)
    // Every item of this priority writes the counter, so the number is free if the counter has not changed since the read. Producers
    // that reach the queue through another namespace have another counter; the second condition covers them.
    const transaction = this.#store
      .txn()
      .if(key(counter).modRevision.less(revision + 1), key(item).missing())
      .then(put(counter, ''), put(item, value))
    const added = await transaction.commit(bounds())
    return added.succeeded ? { keyText: item, revision: added.revision } : undefined
  }
}
