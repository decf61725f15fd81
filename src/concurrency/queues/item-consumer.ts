import { withAnySignal } from '../../core/abort.js'
import { DeadlineScope } from '../../core/deadline-scope.js'
import { EtcdError } from '../../core/errors.js'
import type { KeyValue } from '../../core/key-value.js'
import { key } from '../../kv/compare.js'
import { deleteKey } from '../../kv/operation.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { batchesUntilCompacted, type ConcurrencyHost } from '../concurrency-host.js'
import { isOfForm, numbered } from '../key-form.js'
import { ClaimUnknownError } from './claim-unknown-error.js'
import { type FormedKeys, findFirst } from './find-first.js'
import { LocalMutex } from './local-mutex.js'

/** Takes the items of a queue: each is one key, which its consumer deletes. */
export class ItemConsumer {
  readonly #items: FormedKeys
  readonly #host: Pick<ConcurrencyHost, 'store' | 'obstacle'>
  readonly #choosing = new LocalMutex()
  /** Items that a caller of this process is taking. */
  readonly #claimed = new Set<string>()
  #retried = new AbortController()

  constructor(items: FormedKeys, host: Pick<ConcurrencyHost, 'store' | 'obstacle'>) {
    this.#items = items
    this.#host = host
  }

  /** Takes the first item, or waits for one. */
  async take(options: CallOptions): Promise<KeyValue> {
    checkCall('dequeue()', options)
    const wait = new DeadlineScope(
      options,
      `no item arrived in ${JSON.stringify(this.#items.folder)}`,
      this.#host.obstacle,
    )
    try {
      const taken = await wait.repeat(() => this.#takeOne(wait))
      if (taken instanceof ClaimUnknownError) throw taken
      return taken
    } finally {
      wait.end()
    }
  }

  /** Reads all keys, since other keys may be among the items. */
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

  /** An unknown claim is a result: as a failure, it would give way to the error of the deadline, which has no effect. */
  async #takeOne(wait: DeadlineScope): Promise<KeyValue | ClaimUnknownError> {
    for (;;) {
      const taken = await this.#claim(await this.#choose(wait))
      if (taken !== undefined) return taken
    }
  }

  /** One caller at a time, so that the cluster is asked once for all that wait here. */
  async #choose(wait: DeadlineScope): Promise<KeyValue> {
    const release = await this.#choosing.acquire(wait.signal)
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
      release()
    }
  }

  /** Waits for an item that is new, or that is free again because nobody here could take it. */
  async #waitForMore(revision: number, signal: AbortSignal): Promise<void> {
    const { folder, form } = this.#items
    const retried = this.#retried.signal
    try {
      await withAnySignal([signal, retried], async (either) => {
        const options = { only: 'put', startRevision: revision + 1, signal: either } as const
        for await (const { events } of batchesUntilCompacted(this.#host.store, numbered(folder), options)) {
          if (events.some(({ kv }) => isOfForm(form, folder, kv))) return
        }
      })
    } catch (error) {
      if (signal.aborted || !retried.aborted) throw error
    }
  }

  /**
   * Resolves with `undefined` if another consumer was faster. A call in flight is not cancelled: only its answer shows whether
   * the item is ours.
   */
  async #claim(item: KeyValue): Promise<KeyValue | ClaimUnknownError | undefined> {
    const exists = key(item.key).modRevision.equals(item.modRevision)
    try {
      const { succeeded } = await this.#host.store.txn().if(exists).then(deleteKey(item.key)).commit()
      return succeeded ? item : undefined
    } catch (error) {
      this.#retried.abort()
      this.#retried = new AbortController()
      if (error instanceof EtcdError && error.effect === 'unknown') return new ClaimUnknownError(item, error, error)
      throw error
    } finally {
      this.#claimed.delete(idOf(item))
    }
  }
}

function idOf({ key, modRevision }: KeyValue): string {
  return `${modRevision} ${key.toString('latin1')}`
}
