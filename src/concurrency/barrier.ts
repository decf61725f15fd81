import { DeadlineScope } from '../core/deadline-scope.js'
import { hexId } from '../core/validate.js'
import { key } from '../kv/compare.js'
import { deleteKey, get, put } from '../kv/operation.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { batchesUntilCompacted, type ConcurrencyHost } from './concurrency-host.js'
import { checkLockName } from './lock-options.js'
import { checkBarrierName } from './reserved-names.js'

/** Options of `hold()`. */
export interface HoldOptions extends CallOptions {
  /** The ID of a lease, with which the barrier ends. @default none: it stays until it is released */
  readonly lease?: string | undefined
}

/**
 * Blocks everybody that waits at it until it is released. It is one key with the name of the barrier, as in Go's clientv3.
 * Anybody may hold or release it.
 *
 * @example
 * const gate = etcd.barrier('migration')
 * await gate.hold()
 * // in other processes: await gate.wait({ timeoutMs: 60_000 })
 * await gate.release()
 */
export class Barrier {
  /** The name of the barrier, which is its key, in the caller's namespace. */
  readonly name: string
  readonly #host: ConcurrencyHost

  /** Created by `barrier()`. */
  constructor(name: string, host: ConcurrencyHost) {
    this.name = checkBarrierName(host.namespace, checkLockName(name))
    this.#host = host
  }

  /**
   * Creates the key, unless it exists. Not repeated after a lost answer: the effect of the error is then `unknown`.
   */
  async hold(options: HoldOptions = {}): Promise<void> {
    checkCall('hold()', options, [...callOptionNames, 'lease'])
    const { lease, ...bounds } = options
    if (lease !== undefined) hexId('lease', lease)
    await this.#host.store
      .txn()
      .if(key(this.name).missing())
      .then(put(this.name, '', { lease }))
      .commit(bounds)
  }

  /** Deletes the key. Not repeated after a lost answer: the effect of the error is then `unknown`. */
  async release(options: CallOptions = {}): Promise<void> {
    checkCall('release()', options)
    await this.#host.store.txn().then(deleteKey(this.name)).commit(options)
  }

  /**
   * Resolves when the barrier is not held; at once if it is not. There is no time limit unless `timeoutMs` or `signal` sets one.
   *
   * @throws `DEADLINE_EXCEEDED` after `timeoutMs`, and the reason of `signal`.
   */
  async wait(options: CallOptions = {}): Promise<void> {
    checkCall('wait()', options)
    const wait = new DeadlineScope(options, `barrier ${JSON.stringify(this.name)} is still held`, this.#host.obstacle)
    try {
      while (!(await this.#waitForRelease(wait)));
    } finally {
      wait.end()
    }
  }

  /** Resolves with `false` if the history that would show the release is compacted. */
  async #waitForRelease(wait: DeadlineScope): Promise<boolean> {
    const { store } = this.#host
    const reading = store.txn().then(get(this.name))
    const { revision, responses } = await wait.repeat((signal) => reading.commit({ signal }))
    if (responses[0] === undefined) return true
    const options = { only: 'delete', startRevision: revision + 1, signal: wait.signal } as const
    for await (const _ of batchesUntilCompacted(store, this.name, options)) return true
    return false
  }
}
