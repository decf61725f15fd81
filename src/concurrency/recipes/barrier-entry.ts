import { DeadlineScope } from '../../core/deadline-scope.js'
import { isEtcdError } from '../../core/errors.js'
import { waitWithin } from '../../core/wait.js'
import { range } from '../../kv/operation.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { releaseWithin } from '../lock/release.js'
import type { BarrierKeys } from './barrier-keys.js'
import { numbered } from './key-form.js'
import type { OwnKey } from './own-key.js'
import type { RecipeHost } from './recipe-host.js'

/** The others that are in a barrier, as of a revision. */
interface Others {
  readonly revision: number
  readonly keys: Set<string>
  /** Whether our key is older than all others: it stays until they have gone. */
  readonly areLater: boolean
}

/** One who has entered a double barrier. */
export class BarrierEntry implements AsyncDisposable {
  readonly #keys: BarrierKeys
  readonly #own: OwnKey
  readonly #openedAt: number
  readonly #host: RecipeHost
  #leaving: Promise<void> | undefined

  /** Made by `enter()`. */
  constructor(keys: BarrierKeys, own: OwnKey, openedAt: number, host: RecipeHost) {
    this.#keys = keys
    this.#own = own
    this.#openedAt = openedAt
    this.#host = host
  }

  /** Aborts, with a `LeaseLostError`, when the lease is lost: the others then take this one for gone. */
  get signal(): AbortSignal {
    return this.#own.session.signal
  }

  /**
   * Waits until all who have entered leave, or die. Waits as long as it takes unless `timeoutMs`, which ends it with
   * `DEADLINE_EXCEEDED`, or `signal` bound it; the others do not wait for this one any longer then.
   */
  async leave(options: CallOptions = {}): Promise<void> {
    checkCall('leave()', options)
    this.#leaving ??= this.#leave(options)
    return this.#leaving
  }

  /** Leaves without waiting for the others, unless `leave()` was called. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#leaving === undefined) await this.#goAway()
  }

  async #goAway(): Promise<void> {
    const { name: key } = this.#own
    await releaseWithin(this.#own.leave(), { kind: 'barrier', keyText: key }, this.#host)
  }

  async #leave(options: CallOptions): Promise<void> {
    const wait = new DeadlineScope(
      options,
      `not all have left barrier ${JSON.stringify(this.#keys.name)}`,
      this.#host.obstacle,
    )
    try {
      const { areLater } = await this.#others(wait)
      if (!areLater) await waitWithin(this.#own.leave(), wait)
      while (!(await this.#waitForOthers(wait)));
      if (areLater) await waitWithin(this.#own.leave(this.#keys.close(this.#openedAt)), wait)
    } catch (error) {
      await this.#goAway()
      throw error
    } finally {
      wait.end()
    }
  }

  async #others(wait: DeadlineScope): Promise<Others> {
    // With their values: etcd 3.7 leaves the leases out together with them.
    const reading = this.#host.store.txn().then(range(numbered(this.#keys.folder)))
    const { responses, revision } = await wait.repeat((signal) => reading.commit({ signal }))
    const own = Buffer.from(this.#own.name)
    const waiters = (responses[0]?.kvs ?? []).filter((kv) => this.#keys.isWaiter(kv))
    // Who came after it was opened waits for the next time.
    const entered = waiters.filter(({ createRevision }) => createRevision <= this.#openedAt)
    const others = entered.filter((kv) => !kv.key.equals(own))
    return {
      revision,
      keys: new Set(others.map((kv) => kv.key.toString('latin1'))),
      areLater: others.every(({ createRevision }) => createRevision > this.#own.createRevision),
    }
  }

  /** Resolves with `false` if history that would tell is gone. */
  async #waitForOthers(wait: DeadlineScope): Promise<boolean> {
    const { revision, keys } = await this.#others(wait)
    if (keys.size === 0) return true
    const options = { only: 'delete', startRevision: revision + 1, signal: wait.signal } as const
    try {
      for await (const { kv } of this.#host.store.watch(numbered(this.#keys.folder), options)) {
        keys.delete(kv.key.toString('latin1'))
        if (keys.size === 0) return true
      }
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error
    }
    return false
  }
}
