import { DeadlineScope } from '../core/deadline-scope.js'
import { waitWithin } from '../core/wait.js'
import { range } from '../kv/operation.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { BarrierKeys } from './barrier-keys.js'
import { batchesUntilCompacted, type ConcurrencyHost } from './concurrency-host.js'
import { numbered } from './key-form.js'
import type { QueueKey } from './queue-key.js'
import { releaseWithin } from './release.js'

/** The other participants, as of a revision. */
interface Others {
  readonly revision: number
  readonly keys: Set<string>
  /** Whether our key is older than all others: it is then deleted last. */
  readonly areLater: boolean
}

/** A participant that has entered a double barrier. */
export class BarrierEntry implements AsyncDisposable {
  readonly #keys: BarrierKeys
  readonly #own: QueueKey
  readonly #openedAt: number
  readonly #host: ConcurrencyHost
  #leaving: Promise<void> | undefined

  /** Created by `enter()`. */
  constructor(keys: BarrierKeys, own: QueueKey, openedAt: number, host: ConcurrencyHost) {
    this.#keys = keys
    this.#own = own
    this.#openedAt = openedAt
    this.#host = host
  }

  /** Aborts, with a `LeaseLostError`, when the lease is lost: the other participants then stop waiting for this one. */
  get signal(): AbortSignal {
    return this.#own.session.signal
  }

  /**
   * Waits until all participants leave, or die. There is no time limit unless `timeoutMs` or `signal` sets one. When it rejects,
   * the others no longer wait for this participant.
   *
   * @throws `DEADLINE_EXCEEDED` after `timeoutMs`, and the reason of `signal`.
   */
  async leave(options: CallOptions = {}): Promise<void> {
    checkCall('leave()', options)
    this.#leaving ??= this.#leave(options)
    return this.#leaving
  }

  /** Leaves without waiting for the others, unless `leave()` was called. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#leaving === undefined) await this.#withdraw()
  }

  async #withdraw(): Promise<void> {
    await releaseWithin(this.#own.leave(), { kind: 'barrier', keyText: this.#own.key.toString() }, this.#host)
  }

  async #leave(options: CallOptions): Promise<void> {
    const wait = new DeadlineScope(
      options,
      `not all participants have left barrier ${JSON.stringify(this.#keys.name)}`,
      this.#host.obstacle,
    )
    try {
      const { areLater } = await this.#others(wait)
      if (!areLater) await waitWithin(this.#own.leave(), wait)
      while (!(await this.#waitForOthers(wait)));
      if (areLater) await waitWithin(this.#own.leave(this.#keys.close(this.#openedAt)), wait)
    } catch (error) {
      await this.#withdraw()
      throw error
    } finally {
      wait.end()
    }
  }

  async #others(wait: DeadlineScope): Promise<Others> {
    // With values: a keys-only read of etcd 3.7 omits the leases, too.
    const reading = this.#host.store.txn().then(range(numbered(this.#keys.folder)))
    const { responses, revision } = await wait.repeat((signal) => reading.commit({ signal }))
    const waiters = (responses[0]?.kvs ?? []).filter((kv) => this.#keys.isWaiter(kv))
    // A key that was created after the opening waits for the next one.
    const entered = waiters.filter(({ createRevision }) => createRevision <= this.#openedAt)
    const others = entered.filter((kv) => !kv.key.equals(this.#own.key))
    return {
      revision,
      keys: new Set(others.map((kv) => kv.key.toString('latin1'))),
      areLater: others.every(({ createRevision }) => createRevision > this.#own.createRevision),
    }
  }

  /** Resolves with `false` if the history that would show their deletion is compacted. */
  async #waitForOthers(wait: DeadlineScope): Promise<boolean> {
    const { revision, keys } = await this.#others(wait)
    if (keys.size === 0) return true
    const options = { only: 'delete', startRevision: revision + 1, signal: wait.signal } as const
    const range = numbered(this.#keys.folder)
    for await (const { events } of batchesUntilCompacted(this.#host.store, range, options)) {
      for (const { kv } of events) keys.delete(kv.key.toString('latin1'))
      if (keys.size === 0) return true
    }
    return false
  }
}
