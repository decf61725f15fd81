import { withAnySignal } from '../../core/abort.js'
import { DeadlineScope } from '../../core/deadline-scope.js'
import { EtcdError, isEtcdError } from '../../core/errors.js'
import { assertKnownOptions, positiveInteger } from '../../core/validate.js'
import { waitWithin } from '../../core/wait.js'
import { checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { LockLostError } from '../lock/lock-errors.js'
import type { LockSession } from '../lock/lock-key.js'
import { checkLockName } from '../lock/lock-options.js'
import { releaseWithin } from '../lock/release.js'
import { BarrierEntry } from './barrier-entry.js'
import { BarrierKeys } from './barrier-keys.js'
import { OwnKey } from './own-key.js'
import type { RecipeHost } from './recipe-host.js'

/** Options of `doubleBarrier()`. */
export interface DoubleBarrierOptions {
  /** How long a process that dies is counted. @default 10 */
  readonly ttlSeconds?: number | undefined
}

/**
 * Lets `count` callers begin something together, and end it together. Keys are those of Go's clientv3:
 * see `BarrierKeys`. When all have left, it can be used again.
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
   * `DEADLINE_EXCEEDED`, or `signal` bound it; once it has rejected, nobody counts this one any longer. Where the key cannot be
   * deleted, it rejects after the client's `timeoutMs` more at the latest, with the client's event `releaseDelayed`. Rejects with
   * `BARRIER_FULL` where it is full already, and with a `LockLostError` if its place is lost while it waits.
   */
  async enter(options: CallOptions = {}): Promise<BarrierEntry> {
    checkCall('enter()', options)
    const wait = new DeadlineScope(
      options,
      `too few have come to barrier ${JSON.stringify(this.name)}`,
      this.#host.obstacle,
    )
    try {
      return await this.#enter(wait)
    } finally {
      wait.end()
    }
  }

  async #enter(wait: DeadlineScope): Promise<BarrierEntry> {
    const session = await wait.repeat((signal) => this.#host.session(this.#ttlSeconds, signal))
    const { store } = this.#host
    const { signal } = wait
    const keys = new BarrierKeys(this.name)
    const own = new OwnKey(keys.folder, session, store)
    const entering = withAnySignal([signal, session.signal], async (either) => {
      const openedAt = await this.#untilOpen(keys, own, either)
      if (openedAt !== undefined) return new BarrierEntry(keys, own, openedAt, this.#host)
      throw new LockLostError(this.name, session.signal.reason)
    })
    try {
      return await waitWithin(entering, wait)
    } catch (error) {
      const failure = session.signal.aborted && !signal.aborted ? new LockLostError(this.name, error) : error
      const entry = await this.#withdraw(keys, own, entering, signal)
      if (entry !== undefined) return entry
      if (isEtcdError(error, 'LEASE_NOT_FOUND')) return this.#enterAnew(session, wait)
      throw failure
    }
  }

  /**
   * Deletes the key before the caller hears that its wait has ended: the next caller would count it. Resolves with the
   * entry if the barrier was opened for it in the meantime.
   */
  async #withdraw(
    keys: BarrierKeys,
    own: OwnKey,
    entering: Promise<BarrierEntry>,
    { aborted }: AbortSignal,
  ): Promise<BarrierEntry | undefined> {
    const withdrawing = entering.catch(async () => {
      const openedAt = aborted ? await this.#deleteUnlessOpen(keys, own).catch(() => undefined) : undefined
      if (openedAt !== undefined) return new BarrierEntry(keys, own, openedAt, this.#host)
      await own.leave()
      return undefined
    })
    const entry = await releaseWithin(withdrawing, { kind: 'barrier', keyText: own.name }, this.#host)
    // The caller has been refused: an entry that comes later is left again.
    if (entry === undefined) void withdrawing.then((late) => late?.[Symbol.asyncDispose]())
    return entry
  }

  /** An opening and a withdrawal exclude each other: a caller who was counted when the barrier opened has entered. */
  async #deleteUnlessOpen(keys: BarrierKeys, own: OwnKey): Promise<number | undefined> {
    const { createRevision } = own
    if (createRevision === 0 || !own.session.isAlive()) return undefined
    const found = await own.deleteIf(keys.notOpenedSince(createRevision), keys.ranges)
    const { openedAt } = keys.stateOf(found)
    return openedAt > createRevision ? openedAt : undefined
  }

  /** The lease was gone before there was a place to lose. */
  #enterAnew(session: LockSession, wait: DeadlineScope): Promise<BarrierEntry> {
    session.revoke().catch(() => {})
    return this.#enter(wait)
  }

  /** Resolves with the revision at which it was opened; with `undefined` if our place is gone. */
  async #untilOpen(keys: BarrierKeys, own: OwnKey, signal: AbortSignal): Promise<number | undefined> {
    const { kvs, revision } = await own.create('', keys.ranges, signal)
    const { waiters, openedAt } = keys.stateOf(kvs)
    const before = waiters.filter(({ createRevision }) => createRevision < own.createRevision)
    if (before.length >= this.count) throw full(this.name, this.count)
    // Those who came before it was opened are on their way out.
    const newcomers = before.filter(({ createRevision }) => createRevision > openedAt)
    if (newcomers.length < this.count - 1) return this.#waitUntilOpen(keys, own, revision, signal)
    const openedNow = await own.whileThere(keys.open(), signal, keys.areThere(newcomers))
    // A caller who was counted has left meanwhile.
    return openedNow ?? this.#waitAgain(keys, own, signal)
  }

  async #waitUntilOpen(
    keys: BarrierKeys,
    own: OwnKey,
    revision: number,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const mine = Buffer.from(own.name)
    const options = { startRevision: revision + 1, signal }
    try {
      for await (const { type, kv } of this.#host.store.watch({ prefix: `${this.name}/` }, options)) {
        if (type === 'delete' && kv.key.equals(mine)) return undefined
        if (type === 'delete' || keys.isWaiter(kv)) continue
        const openedAt = keys.openingBy(kv) ?? 0
        if (openedAt > own.createRevision) return this.#keep(keys, own, kv.keyText === keys.opened, openedAt)
      }
      return undefined
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error
      return this.#waitAgain(keys, own, signal)
    }
  }

  /** An opening that only Go's key shows is forgotten with that: it is kept under our own, too. */
  async #keep(keys: BarrierKeys, own: OwnKey, isKept: boolean, openedAt: number): Promise<number | undefined> {
    if (isKept) return openedAt
    const kept = await own.whileThere(keys.keepOpening(openedAt), own.session.signal)
    return kept === undefined ? undefined : openedAt
  }

  /** History was compacted, or a caller who was counted has left: the keys show whether the barrier was opened. */
  async #waitAgain(keys: BarrierKeys, own: OwnKey, signal: AbortSignal): Promise<number | undefined> {
    const { createRevision } = own
    const { kvs, revision } = await own.create('', keys.ranges, signal)
    if (own.createRevision !== createRevision) return undefined
    const { openedAt } = keys.stateOf(kvs)
    return openedAt > createRevision ? openedAt : this.#waitUntilOpen(keys, own, revision, signal)
  }
}

function full(name: string, count: number): EtcdError {
  return new EtcdError(`barrier ${JSON.stringify(name)} is for ${count}, and as many are in it`, {
    code: 'BARRIER_FULL',
    effect: 'none',
    retryable: true,
  })
}
