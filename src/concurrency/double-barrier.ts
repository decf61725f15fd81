import { withAnySignal } from '../core/abort.js'
import { DeadlineScope } from '../core/deadline-scope.js'
import { EtcdError, isEtcdError } from '../core/errors.js'
import { assertKnownOptions, positiveInteger } from '../core/validate.js'
import { waitWithin } from '../core/wait.js'
import type { Session } from '../lease/session.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { BarrierEntry } from './barrier-entry.js'
import { BarrierKeys } from './barrier-keys.js'
import type { ConcurrencyHost } from './concurrency-host.js'
import { LockLostError } from './lock-errors.js'
import { checkLockName } from './lock-options.js'
import { QueueKey } from './queue-key.js'
import { releaseWithin } from './release.js'
import { uniqueName } from './unique-name.js'

/** Options of `doubleBarrier()`. */
export interface DoubleBarrierOptions {
  /** How long a participant that dies is counted, in seconds. @default 10 */
  readonly ttlSeconds?: number | undefined
}

/**
 * Lets `count` participants begin something together, and end it together. When all of them have left, it can be used again.
 * It uses the keys of Go's clientv3; see `BarrierKeys`.
 *
 * @example
 * const entry = await etcd.doubleBarrier('race', 2).enter() // resolves when two participants have come
 * await entry.leave() // resolves when both have left
 */
export class DoubleBarrier {
  /** The name of the barrier, in the caller's namespace. */
  readonly name: string
  /** How many participants there are. */
  readonly count: number
  readonly #ttlSeconds: number
  readonly #host: ConcurrencyHost

  /** Created by `doubleBarrier()`. */
  constructor(name: string, count: number, options: DoubleBarrierOptions, host: ConcurrencyHost) {
    assertKnownOptions('doubleBarrier()', options, ['ttlSeconds'])
    this.name = checkLockName(name)
    this.count = positiveInteger('count', count)
    this.#ttlSeconds = positiveInteger('ttlSeconds', options.ttlSeconds ?? 10)
    this.#host = host
  }

  /**
   * Waits until `count` participants have come. There is no time limit unless `timeoutMs` or `signal` sets one. When it rejects,
   * this participant is no longer counted: its key is deleted first, and where that is impossible, `enter()` rejects within the
   * client's `timeoutMs` and the client emits `releaseDelayed`.
   *
   * @throws `DEADLINE_EXCEEDED` after `timeoutMs`, and the reason of `signal`. `BARRIER_FULL` if `count` others are in it.
   * `LockLostError` if the key or its lease is lost during the wait.
   */
  async enter(options: CallOptions = {}): Promise<BarrierEntry> {
    checkCall('enter()', options)
    const wait = new DeadlineScope(
      options,
      `too few participants have entered barrier ${JSON.stringify(this.name)}`,
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
    const { signal } = wait
    const keys = new BarrierKeys(this.name)
    const own = new QueueKey(Buffer.from(`${keys.folder}${uniqueName()}`), session, this.#host.store)
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
   * Deletes the key before the caller learns that its wait has ended, since the next participant would count it. Resolves with
   * the entry if the barrier was opened for it in the meantime.
   */
  async #withdraw(
    keys: BarrierKeys,
    own: QueueKey,
    entering: Promise<BarrierEntry>,
    { aborted }: AbortSignal,
  ): Promise<BarrierEntry | undefined> {
    const withdrawing = entering.catch(async () => {
      const openedAt = aborted ? await this.#deleteUnlessOpen(keys, own).catch(() => undefined) : undefined
      if (openedAt !== undefined) return new BarrierEntry(keys, own, openedAt, this.#host)
      await own.leave()
      return undefined
    })
    const entry = await releaseWithin(withdrawing, { kind: 'barrier', keyText: own.key.toString() }, this.#host)
    // The caller was refused: an entry that comes later is left at once.
    if (entry === undefined) void withdrawing.then((late) => late?.[Symbol.asyncDispose]())
    return entry
  }

  /** An opening and a withdrawal exclude each other: a participant that was counted when the barrier opened has entered. */
  async #deleteUnlessOpen(keys: BarrierKeys, own: QueueKey): Promise<number | undefined> {
    const { createRevision } = own
    if (createRevision === 0 || !own.session.isAlive()) return undefined
    const found = await own.deleteIf(keys.notOpenedSince(createRevision), keys.ranges)
    const { openedAt } = keys.stateOf(found)
    return openedAt > createRevision ? openedAt : undefined
  }

  /** The lease ended before there was a key. */
  #enterAnew(session: Session, wait: DeadlineScope): Promise<BarrierEntry> {
    session.revoke().catch(() => {})
    return this.#enter(wait)
  }

  /** Resolves with the revision of the opening; with `undefined` if our key is lost. */
  async #untilOpen(keys: BarrierKeys, own: QueueKey, signal: AbortSignal): Promise<number | undefined> {
    const { kvs, revision } = await own.create('', keys.ranges, signal)
    const { waiters, openedAt } = keys.stateOf(kvs)
    const before = waiters.filter(({ createRevision }) => createRevision < own.createRevision)
    if (before.length >= this.count) throw barrierFull(this.name, this.count)
    // Those that came before the last opening are about to leave.
    const newcomers = before.filter(({ createRevision }) => createRevision > openedAt)
    if (newcomers.length < this.count - 1) return this.#waitUntilOpen(keys, own, revision, signal)
    const openedNow = await own.ifExists(keys.open(), signal, keys.exist(newcomers))
    // `undefined` also means that a participant which was counted has left meanwhile.
    return openedNow ?? this.#waitAgain(keys, own, signal)
  }

  async #waitUntilOpen(
    keys: BarrierKeys,
    own: QueueKey,
    revision: number,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const options = { startRevision: revision + 1, signal }
    try {
      for await (const { type, kv } of this.#host.store.watch({ prefix: `${this.name}/` }, options)) {
        if (type === 'delete' && kv.key.equals(own.key)) return undefined
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

  /** An opening that only the key of Go's clientv3 shows ends with that key, so it is stored under our own, too. */
  async #keep(keys: BarrierKeys, own: QueueKey, isKept: boolean, openedAt: number): Promise<number | undefined> {
    if (isKept) return openedAt
    const kept = await own.ifExists(keys.keepOpening(openedAt), own.session.signal)
    return kept === undefined ? undefined : openedAt
  }

  /** After a compaction, or when a participant that was counted has left: the keys show whether the barrier was opened. */
  async #waitAgain(keys: BarrierKeys, own: QueueKey, signal: AbortSignal): Promise<number | undefined> {
    const { createRevision } = own
    const { kvs, revision } = await own.create('', keys.ranges, signal)
    if (own.createRevision !== createRevision) return undefined
    const { openedAt } = keys.stateOf(kvs)
    return openedAt > createRevision ? openedAt : this.#waitUntilOpen(keys, own, revision, signal)
  }
}

function barrierFull(name: string, count: number): EtcdError {
  return new EtcdError(`barrier ${JSON.stringify(name)} is full (${count} of ${count})`, {
    code: 'BARRIER_FULL',
    effect: 'none',
    retryable: true,
  })
}
