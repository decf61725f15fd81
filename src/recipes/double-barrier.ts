import { EtcdError, isEtcdError } from '../core/errors.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, positiveInteger } from '../core/validate.js'
import { Wait } from '../core/wait.js'
import { put } from '../kv/operation.js'
import { LockLostError } from '../lock/lock-errors.js'
import type { LockSession } from '../lock/lock-key.js'
import { checkLockName } from '../lock/lock-options.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { BarrierEntry } from './barrier-entry.js'
import { type Created, OwnKey } from './own-key.js'
import type { RecipeHost } from './recipe-host.js'
import { uniqueName } from './unique-name.js'

/** Options of `doubleBarrier()`. */
export interface DoubleBarrierOptions {
  /** How long a process that dies is counted. @default 10 */
  readonly ttlSeconds?: number | undefined
}

/**
 * Lets `count` callers begin something together, and end it together. Keys are those of Go's clientv3:
 * `<name>/waiters/<unique>` for each, and `<name>/ready` when all have come. When all have left, it can be used again.
 */
export class DoubleBarrier {
  readonly name: string
  readonly count: number
  readonly #ttlSeconds: number
  readonly #host: RecipeHost

  /** Made by `doubleBarrier()`. */
  constructor(name: string, count: number, options: DoubleBarrierOptions, host: RecipeHost) {
    assertKnownOptions('doubleBarrier()', options, ['ttlSeconds'])
    this.name = checkLockName(name)
    this.count = positiveInteger('count', count)
    this.#ttlSeconds = positiveInteger('ttlSeconds', options.ttlSeconds ?? 10)
    this.#host = host
  }

  /**
   * Waits until `count` callers have come. Waits as long as it takes unless `timeoutMs`, which ends it with
   * `DEADLINE_EXCEEDED`, or `signal` bound it; then nobody counts this one any longer. Rejects with `BARRIER_FULL` where so
   * many are in it already, and with a `LockLostError` if its place is lost while it waits.
   */
  async enter(options: CallOptions = {}): Promise<BarrierEntry> {
    checkCall('enter()', options)
    const wait = new Wait(options, `too few have come to barrier ${JSON.stringify(this.name)}`, this.#host.obstacle)
    try {
      return await this.#enter(wait)
    } finally {
      wait.end()
    }
  }

  async #enter(wait: Wait): Promise<BarrierEntry> {
    const session = await wait.repeat((signal) => this.#host.session(this.#ttlSeconds, signal))
    const { store } = this.#host
    const { signal } = wait
    const own = new OwnKey(`${this.name}/waiters/${uniqueName()}`, session, store)
    const either = AbortSignal.any([signal, session.signal])
    try {
      const created = await own.create('', [{ prefix: `${this.name}/` }], { keysOnly: true }, either)
      const openedAt = this.#completes(own, created)
        ? await own.whileThere([put(`${this.name}/ready`, '')], either)
        : await this.#waitUntilReady(own, created.revision, either)
      if (openedAt !== undefined) return new BarrierEntry(this.name, own, openedAt, this.#host)
      throw new LockLostError(this.name, session.signal.reason)
    } catch (error) {
      // Nobody waits for what is deleted in the background.
      void own.leave()
      if (isEtcdError(error, 'LEASE_NOT_FOUND')) return this.#enterAnew(session, wait)
      throw session.signal.aborted && !signal.aborted ? new LockLostError(this.name, error) : error
    }
  }

  /** The lease was gone before there was a place to lose. */
  #enterAnew(session: LockSession, wait: Wait): Promise<BarrierEntry> {
    session.revoke().catch(() => {})
    return this.#enter(wait)
  }

  /** Whether the last one of `count` has come. */
  #completes(own: OwnKey, { kvs }: Created): boolean {
    const ready = kvs.find((kv) => kv.keyText === `${this.name}/ready`)
    const before = kvs.filter((kv) => this.#isWaiter(kv) && kv.createRevision < own.createRevision)
    if (before.length >= this.count) throw full(this.name, this.count)
    // Those who came before it was opened are on their way out.
    const newcomers = before.filter(({ createRevision }) => createRevision > (ready?.modRevision ?? 0))
    return newcomers.length === this.count - 1
  }

  async #waitUntilReady(own: OwnKey, revision: number, signal: AbortSignal): Promise<number | undefined> {
    const [ready, mine] = [Buffer.from(`${this.name}/ready`), Buffer.from(own.name)]
    const range = { prefix: `${this.name}/` }
    try {
      for await (const { type, kv } of this.#host.store.watch(range, { startRevision: revision + 1, signal })) {
        if (type === 'put' && kv.key.equals(ready)) return kv.modRevision
        if (type === 'delete' && kv.key.equals(mine)) return undefined
      }
      return undefined
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error
      return this.#waitAgain(own, signal)
    }
  }

  /** History was compacted while nothing could be heard: what is there now tells whether it was opened. */
  async #waitAgain(own: OwnKey, signal: AbortSignal): Promise<number | undefined> {
    const { kvs, revision } = await own.create('', [{ prefix: `${this.name}/` }], { keysOnly: true }, signal)
    const ready = kvs.find((kv) => kv.keyText === `${this.name}/ready`)
    if (ready !== undefined && ready.modRevision > own.createRevision) return ready.modRevision
    return this.#waitUntilReady(own, revision, signal)
  }

  #isWaiter({ key }: KeyValue): boolean {
    return key.toString().startsWith(`${this.name}/waiters`)
  }
}

function full(name: string, count: number): EtcdError {
  return new EtcdError(`barrier ${JSON.stringify(name)} is for ${count}, and as many are in it`, {
    code: 'BARRIER_FULL',
    effect: 'none',
    retryable: true,
  })
}
