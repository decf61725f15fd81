import { withAnySignal } from '../../core/abort.js'
import { DeadlineScope } from '../../core/deadline-scope.js'
import { EtcdError, isEtcdError } from '../../core/errors.js'
import type { KeyValue } from '../../core/key-value.js'
import { key } from '../../kv/compare.js'
import { deleteKey } from '../../kv/operation.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { ClaimUnknownError } from './claim-unknown-error.js'
import { type FormedKeys, findFirst } from './find-first.js'
import { isOfForm, numbered } from './key-form.js'
import type { RecipeHost } from './recipe-host.js'
import { Turns } from './turns.js'

/** The items of a queue and those who want them: one key for each item, which whoever takes it deletes. */
export class ItemLine {
  readonly #items: FormedKeys
  readonly #host: Pick<RecipeHost, 'store' | 'obstacle'>
  readonly #turns = new Turns()
  /** Items that are being taken by somebody in this process. */
  readonly #claimed = new Set<string>()
  #wake = new AbortController()

  constructor(items: FormedKeys, host: Pick<RecipeHost, 'store' | 'obstacle'>) {
    this.#items = items
    this.#host = host
  }

  /** Takes the first item, or waits for one. */
  async take(options: CallOptions): Promise<KeyValue> {
    checkCall('dequeue()', options)
    const wait = new DeadlineScope(
      options,
      `no item has come to ${JSON.stringify(this.#items.folder)}`,
      this.#host.obstacle,
    )
    try {
      return await wait.repeat(() => this.#takeOne(wait))
    } finally {
      wait.end()
    }
  }

  /** Keys of others may be among them, so that all have to be looked at. */
  async count(options: CallOptions): Promise<number> {
    checkCall('size()', options)
    const { folder, form } = this.#items
    let count = 0
    const onRestart = (): void => {
      count = 0
    }
    const listing = { ...options, keysOnly: true, onCompacted: 'restart', onRestart } as const
    for await (const kv of this.#host.store.list(numbered(folder), listing)) {
      if (isOfForm(form, folder, kv)) count += 1
    }
    return count
  }

  async #takeOne(wait: DeadlineScope): Promise<KeyValue> {
    for (;;) {
      const item = await this.#choose(wait)
      if (await this.#claim(item)) return item
    }
  }

  /** One at a time, so that the members are asked once for all who wait here. */
  async #choose(wait: DeadlineScope): Promise<KeyValue> {
    const end = await this.#turns.take(wait.signal)
    const { store } = this.#host
    const claimed = this.#claimed
    const skipped = { size: claimed.size, has: (kv: KeyValue) => claimed.has(idOf(kv)) }
    try {
      for (;;) {
        const { found, revision } = await wait.repeat((signal) =>
          findFirst(store, this.#items, () => ({ signal }), skipped),
        )
        if (found !== undefined) {
          claimed.add(idOf(found))
          return found
        }
        await this.#waitForMore(revision, wait.signal)
      }
    } finally {
      end()
    }
  }

  /** Waits for an item that is new, or is there again since nobody here could take it. */
  async #waitForMore(revision: number, signal: AbortSignal): Promise<void> {
    const { folder, form } = this.#items
    const wake = this.#wake.signal
    const range = numbered(folder)
    try {
      await withAnySignal([signal, wake], async (either) => {
        const options = { only: 'put', startRevision: revision + 1, signal: either } as const
        for await (const { kv } of this.#host.store.watch(range, options)) if (isOfForm(form, folder, kv)) return
      })
    } catch (error) {
      if (signal.aborted || (!wake.aborted && !isEtcdError(error, 'COMPACTED'))) throw error
    }
  }

  /** Once sent, it is not given up: its answer tells whether the item is ours. */
  async #claim(item: KeyValue): Promise<boolean> {
    const isThere = key(item.key).modRevision.equals(item.modRevision)
    try {
      const { succeeded } = await this.#host.store.txn().if(isThere).then(deleteKey(item.key)).commit()
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
