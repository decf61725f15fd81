import { fullJitterMs } from '../../core/backoff.js'
import { InvalidArgumentError } from '../../core/errors.js'
import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { describe, keyBytes } from '../../core/validate.js'
import { sleep, timeLeft } from '../../core/wait.js'
import { key } from '../../kv/compare.js'
import { put } from '../../kv/operation.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { checkLockName } from '../lock/lock-options.js'
import { findFirst } from './find-first.js'
import { ItemLine } from './item-line.js'
import type { EnqueueResult } from './queue.js'
import type { RecipeHost } from './recipe-host.js'
import { counterKey } from './reserved-names.js'

const maxPriority = 65_535
const conflictBackoff = { baseMs: 5, maxMs: 250 }

/**
 * A queue whose items have a priority, 0 before 65 535, and among those of the same one are first in, first out. Keys are
 * those of Go's clientv3: `<name>/<priority>/<number>`, and `__<name>/<priority>`, which producers number their items by.
 */
export class PriorityQueue {
  readonly name: string
  readonly #store: RecipeHost['store']
  readonly #items: ItemLine

  /** Made by `priorityQueue()`. */
  constructor(name: string, host: Pick<RecipeHost, 'store' | 'obstacle'>) {
    this.name = checkLockName(name)
    this.#store = host.store
    this.#items = new ItemLine({ folder: `${name}/`, form: 'prioritized', sort: { target: 'key' } }, host)
  }

  /**
   * Adds an item; lower numbers of `priority` come first. Producers that add items of one priority at the same time wait for
   * each other. Not repeated when its answer was lost: its effect is then unknown.
   */
  async enqueue(value: Bytes, priority: number, options: CallOptions = {}): Promise<EnqueueResult> {
    checkCall('enqueue()', options)
    if (!Number.isInteger(priority) || priority < 0 || priority > maxPriority) {
      const expected = `a whole number from 0 to ${maxPriority}`
      throw new InvalidArgumentError(`\`priority\` must be ${expected}, got ${describe(priority)}`)
    }
    const bytes = keyBytes('value', value)
    const left = timeLeft(options.timeoutMs)
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

  /** The number of items that wait. */
  async size(options: CallOptions = {}): Promise<number> {
    return this.#items.count(options)
  }

  /** Resolves with `undefined` if another item of this priority was added meanwhile. */
  async #add(priority: string, value: Buffer, bounds: () => CallOptions): Promise<EnqueueResult | undefined> {
    const folder = `${this.name}/${priority}/`
    const sort = { target: 'key', order: 'descend' } as const
    const { found, revision } = await findFirst(this.#store, { folder, form: 'number', sort }, bounds)
    const number = found === undefined ? 0 : Number(found.keyText.slice(folder.length)) + 1
    const item = `${folder}${String(number).padStart(16, '0')}`
    const counter = counterKey(this.name, priority)
    // Every item of this priority writes the counter: the number is free if that is as old as what was read. Those who reach
    // the queue by another namespace have a counter of their own.
    const transaction = this.#store
      .txn()
      .if(key(counter).modRevision.less(revision + 1), key(item).missing())
      .then(put(counter, ''), put(item, value))
    const added = await transaction.commit(bounds())
    return added.succeeded ? { keyText: item, revision: added.revision } : undefined
  }
}
