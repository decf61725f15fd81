import { EtcdError, isEtcdError } from '../core/errors.js'
import type { KeyValue } from '../core/key-value.js'
import { notInTime } from '../core/wait-within.js'
import { key } from '../kv/compare.js'
import { del, range } from '../kv/operation.js'
import type { Sort } from '../kv/requests.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { boundOf } from './bounds.js'
import { ClaimUnknownError } from './claim-unknown-error.js'
import type { RecipeStore } from './recipe-host.js'
import { Turns } from './turns.js'

/** The items of a queue and those who want them: one key for each item, which whoever takes it deletes. */
export class ItemLine {
  readonly #prefix: string
  readonly #sort: Sort
  readonly #store: RecipeStore
  readonly #turns = new Turns()
  /** Items that are being taken by somebody in this process. */
  readonly #claimed = new Set<string>()
  #wake = new AbortController()

  constructor(prefix: string, sort: Sort, store: RecipeStore) {
    this.#prefix = prefix
    this.#sort = sort
    this.#store = store
  }

  /** Takes the first item, or waits for one. */
  async take(options: CallOptions): Promise<KeyValue> {
    checkCall('dequeue()', options)
    const bound = boundOf(options, () => notInTime(`no item has come to ${JSON.stringify(this.#prefix)}`))
    try {
      for (;;) {
        const item = await this.#choose(bound.signal)
        if (await this.#claim(item)) return item
      }
    } finally {
      bound.end()
    }
  }

  count(options: CallOptions): Promise<number> {
    checkCall('size()', options)
    return this.#store.count({ prefix: this.#prefix }, options)
  }

  /** One at a time, so that the members are asked once for all who wait here. */
  async #choose(signal: AbortSignal): Promise<KeyValue> {
    const end = await this.#turns.take(signal)
    try {
      for (;;) {
        signal.throwIfAborted()
        const first = range({ prefix: this.#prefix }, { limit: this.#claimed.size + 1, sort: this.#sort })
        const { responses, revision } = await this.#store.txn().then(first).commit({ signal })
        const item = responses[0]?.kvs.find((kv) => !this.#claimed.has(idOf(kv)))
        if (item !== undefined) {
          this.#claimed.add(idOf(item))
          return item
        }
        await this.#waitForMore(revision, signal)
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
      for await (const _ of this.#store.watch({ prefix: this.#prefix }, options)) return
    } catch (error) {
      if (signal.aborted || (!wake.aborted && !isEtcdError(error, 'COMPACTED'))) throw error
    }
  }

  /** Once sent, it is not given up: its answer tells whether the item is ours. */
  async #claim(item: KeyValue): Promise<boolean> {
    const isThere = key(item.key).modRevision.equals(item.modRevision)
    try {
      const { succeeded } = await this.#store.txn().if(isThere).then(del(item.key)).commit()
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
