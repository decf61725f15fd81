import { DeadlineScope } from '../../core/deadline-scope.js'
import { isEtcdError } from '../../core/errors.js'
import { hexId } from '../../core/validate.js'
import { key } from '../../kv/compare.js'
import { deleteKey, get, put } from '../../kv/operation.js'
import { callOptionNames, checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { checkLockName } from '../lock/lock-options.js'
import type { RecipeHost } from './recipe-host.js'
import { checkBarrierName } from './reserved-names.js'

/** Options of `hold()`. */
export interface HoldOptions extends CallOptions {
  /** The barrier falls when this lease ends. @default none: it stands until it is released */
  readonly lease?: string | undefined
}

/**
 * What others wait at for as long as it is held: one key with the barrier's name, as Go's clientv3 has it. Anybody may hold
 * or release it; to hold one that is held changes nothing.
 */
export class Barrier {
  readonly name: string
  readonly #host: Pick<RecipeHost, 'store' | 'obstacle'>

  /** Made by `barrier()`. */
  constructor(name: string, host: Pick<RecipeHost, 'store' | 'obstacle' | 'namespace'>) {
    this.name = checkBarrierName(host.namespace, checkLockName(name))
    this.#host = host
  }

  /** Puts it up. Sent once: with a lost answer its effect is unknown. */
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

  /** Lets all who wait go on. Sent once: with a lost answer its effect is unknown. */
  async release(options: CallOptions = {}): Promise<void> {
    checkCall('release()', options)
    await this.#host.store.txn().then(deleteKey(this.name)).commit(options)
  }

  /**
   * Resolves when it is not held, at once if it is not. Waits as long as it takes unless `timeoutMs`, which ends it with
   * `DEADLINE_EXCEEDED`, or `signal` bound it.
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

  /** Resolves with `false` if history that would tell is gone. */
  async #waitForRelease(wait: DeadlineScope): Promise<boolean> {
    const { store } = this.#host
    const reading = store.txn().then(get(this.name))
    const { revision, responses } = await wait.repeat((signal) => reading.commit({ signal }))
    if (responses[0] === undefined) return true
    const options = { only: 'delete', startRevision: revision + 1, signal: wait.signal } as const
    try {
      for await (const _ of store.watch(this.name, options)) return true
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error
    }
    return false
  }
}
