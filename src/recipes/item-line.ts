import { EtcdError, isEtcdError } from '../core/errors.js'
import type { KeyValue } from '../core/key-value.js'
import { Wait } from '../core/wait.js'
import { key } from '../kv/compare.js'
import { del, range } from '../kv/operation.js'
import type { Sort } from '../kv/requests.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { ClaimUnknownError } from './claim-unknown-error.js'
import type { RecipeHost } from './recipe-host.js'
import { Turns } from './turns.js'

/** The items of a queue and those who want them: one key for each item, which whoever takes it deletes. */
export class ItemLine {
  readonly #prefix: string
  readonly #sort: Sort
  readonly #host: Pick<RecipeHost, 'store' | 'obstacle'>
  readonly #turns = new Turns()
  /** Items that are being taken by somebody in this process. */
  readonly #claimed = new Set<string>()
  #wake = new AbortController()

  constructor(prefix: string, sort: Sort, host: Pick<RecipeHost, 'store' | 'obstacle'>) {
    this.#prefix = prefix
    this.#sort = sort
    this.#host = host
  }

  /** Takes the first item, or waits for one. */
  async take(options: CallOptions): Promise<KeyValue> {
    checkCall('dequeue()', options)
    const wait = new Wait(options, `no item has come to ${JSON.stringify(this.#prefix)}`, this.#host.obstacle)
    try {
      return await wait.repeat(() => this.#takeOne(wait))
    } finally {
      wait.end()
    }
  }

  count(options: CallOptions): Promise<number> {
    checkCall('size()', options)
    return this.#host.store.count({ prefix: this.#prefix }, options)
  }

  async #takeOne(wait: Wait): Promise<KeyValue> {
    for (;;) {
      const item = await this.#choose(wait)
      if (await this.#claim(item)) return item
    }
  }

  /** One at a time, so that the members are asked once for all who wait here. */
  async #choose(wait: Wait): Promise<KeyValue> {
    const end = await this.#turns.take(wait.signal)
    try {
      for (;;) {
        const first = range({ prefix: this.#prefix }, { limit: this.#claimed.size + 1, sort: this.#sort })
        const reading = this.#host.store.txn().then(first)
        const { responses, revision } = await wait.repeat((signal) => reading.commit({ signal }))
        const item = responses[0]?.kvs.find((kv) => !this.#claimed.has(idOf(kv)))
        if (item !== undefined) {
          this.#claimed.add(idOf(item))
          return item
        }
        await this.#waitForMore(revision, wait.signal)
      }
    } finally {
      end()
    }
  }

  /** Waits for an item that is new, or is there again since nobody here could take it. */
  async #waitForMore(revision: number, signal: AbortSignal): Promise<void> {
    const wake = this.#wake.signal
    const options = { only: 'put', startRevision: revision + 1, signal: AbortSignal.any([signal, wake]) } as const
    try {
      for await (const _ of this.#host.store.watch({ prefix: this.#prefix }, options)) return
    } catch (error) {
      if (signal.aborted || (!wake.aborted && !isEtcdError(error, 'COMPACTED'))) throw error
    }
  }

  /** Once sent, it is not given up: its answer tells whether the item is ours. */
  async #claim(item: KeyValue): Promise<boolean> {
    const isThere = key(item.key).modRevision.equals(item.modRevision)
    try {
      const { succeeded } = await this.#host.store.txn().if(isThere).then(del(item.key)).commit()
      return succeeded
    } catch (error) {
      this.#wake.abort()
      this.#wake = new AbortController()
      throw error instanceof EtcdError && error.effect === 'unknown' ? new ClaimUnknownError(item, error, error) : error
    } finally {
      this.#claimed.delete(idOf(item))
    }
  }
}

function idOf({ key, modRevision }: KeyValue): string {
  return `${modRevision} ${key.toString('latin1')}`
}
