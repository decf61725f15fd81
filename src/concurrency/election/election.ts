import { DeadlineScope } from '../../core/deadline-scope.js'
import { InvalidArgumentError, isEtcdError } from '../../core/errors.js'
import type { KeyRange } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import { assertKnownOptions, describe, durationMs, optionalSignal, positiveInteger } from '../../core/validate.js'
import type { CallOptions } from '../../transport/transport.js'
import type { WatchEvent } from '../../watch/watch-event.js'
import type { Watcher } from '../../watch/watcher.js'
import type { LockHolder } from '../lock/lock-errors.js'
import { checkLockName } from '../lock/lock-options.js'
import { holderOf, oldestOf } from '../lock/lock-place.js'
import type { LockQueues } from '../lock/lock-queues.js'
import { Leadership } from './leadership.js'

/** Options of `election()`. */
export interface ElectionOptions {
  /** How long the leadership outlives a process that dies, or that cannot reach the cluster. @default 10 */
  readonly ttlSeconds?: number | undefined
}

/** What an election reads and watches with. */
export interface ElectionStore {
  range(
    range: KeyRange,
    options: CallOptions & { readonly mode?: 'linearizable' },
  ): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }>
  watch(
    range: KeyRange,
    options: { readonly startRevision: number; readonly signal?: AbortSignal | undefined },
  ): Watcher
}

/** What an election works with. */
export interface ElectionHost {
  /** The keyspace that it is in. */
  readonly store: ElectionStore
  readonly queues: LockQueues
  /** The prefix of the keyspace. */
  readonly namespace: Buffer
}

/**
 * An election of one leader at a time among those who campaign, in the order in which they came. Candidates are keys as
 * Go's clientv3 and `etcdctl elect` write them: `<name>/<lease>`, with what they propose as the value.
 */
export class Election {
  readonly name: string
  readonly #host: ElectionHost
  readonly #ttlSeconds: number

  /** Made by `election()`. */
  constructor(name: string, options: ElectionOptions, host: ElectionHost) {
    this.name = checkLockName(name)
    assertKnownOptions('election()', options, ['ttlSeconds'])
    this.#host = host
    this.#ttlSeconds = positiveInteger('ttlSeconds', options.ttlSeconds ?? 10)
  }

  /**
   * Waits to be elected; `value` is what others see of the leader. Waits as long as it takes unless `timeoutMs` ends it, with a
   * `LockTimeoutError`, or `signal`; then no candidate stays behind. A candidate whose lease ends while it waits comes last
   * again.
   */
  async campaign(value: string, options: CallOptions = {}): Promise<Leadership> {
    assertKnownOptions('campaign()', options, ['signal', 'timeoutMs'])
    if (typeof value !== 'string') throw new InvalidArgumentError(`\`value\` must be a string, got ${describe(value)}`)
    const signal = optionalSignal('signal', options.signal)
    signal?.throwIfAborted()
    const { timeoutMs = Number.POSITIVE_INFINITY } = options
    const queue = this.#host.queues.of(this.#host.namespace, this.name)
    const lock = await queue.acquire({
      name: this.name,
      kind: 'election',
      ttlSeconds: this.#ttlSeconds,
      value,
      timeoutMs: durationMs('timeoutMs', timeoutMs),
      signal,
      // Observers see one leader come after the other.
      ownKey: true,
    })
    return new Leadership(lock)
  }

  /** The leader; `null` for none. */
  async leader(options: CallOptions = {}): Promise<LockHolder | null> {
    const prefix = this.#prefix()
    const { kvs } = await this.#host.store.range({ prefix }, { ...options, mode: 'linearizable' })
    return leaderOf(oldestOf(prefix, kvs))
  }

  /**
   * The leader now, and again whenever it is another one or has another value; `null` for none. Candidates that wait are
   * never given. It begins as soon as the cluster can be read, and ends with an error as a watch does, save that history
   * which is compacted is no hindrance: then leaders that have gone meanwhile are passed over.
   */
  async *observe(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<LockHolder | null, void, undefined> {
    assertKnownOptions('observe()', options, ['signal'])
    const signal = optionalSignal('signal', options.signal)
    const wait = new DeadlineScope({ signal }, 'there is no bound', () => undefined)
    let told: KeyValue | undefined
    let hasBegun = false
    try {
      for await (const leader of this.#leaders(wait)) {
        if (hasBegun && leader?.modRevision === told?.modRevision) continue
        hasBegun = true
        told = leader
        yield leaderOf(leader)
      }
    } finally {
      wait.end()
    }
  }

  /** The oldest of the candidates, listed and then watched. */
  async *#leaders(wait: DeadlineScope): AsyncGenerator<KeyValue | undefined, void, undefined> {
    const prefix = this.#prefix()
    const { store } = this.#host
    for (;;) {
      const list = (signal: AbortSignal) => store.range({ prefix }, { mode: 'linearizable', signal })
      const { kvs, revision } = await wait.repeat(list)
      const candidates = new Map(kvs.map((kv) => [kv.key.toString('latin1'), kv]))
      yield oldestOf(prefix, candidates.values())
      try {
        const watcher = store.watch({ prefix }, { startRevision: revision + 1, signal: wait.signal })
        for await (const { events } of watcher.batches()) {
          for (const event of events) apply(candidates, event)
          yield oldestOf(prefix, candidates.values())
        }
        return
      } catch (error) {
        if (!isEtcdError(error, 'COMPACTED')) throw error
      }
    }
  }

  #prefix(): Buffer {
    return Buffer.from(`${this.name}/`)
  }
}

function leaderOf(oldest: KeyValue | undefined): LockHolder | null {
  return oldest === undefined ? null : holderOf(oldest, 0)
}

function apply(candidates: Map<string, KeyValue>, { type, kv }: WatchEvent): void {
  if (type === 'put') candidates.set(kv.key.toString('latin1'), kv)
  else candidates.delete(kv.key.toString('latin1'))
}
