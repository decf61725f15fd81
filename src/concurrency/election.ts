import { DeadlineScope } from '../core/deadline-scope.js'
import { isEtcdError } from '../core/errors.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, durationMs, optionalSignal, positiveInteger } from '../core/validate.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchEvent } from '../watch/watch-event.js'
import type { KeyStore } from './concurrency-host.js'
import { Leadership } from './leadership.js'
import { holderOf, isLeaseEntry } from './lease-entries.js'
import type { LocalQueues } from './local-queue.js'
import type { LockHolder } from './lock-errors.js'
import { checkLockName, checkLockValue } from './lock-options.js'
import { oldestOf } from './queue-entry.js'

/** Options of `election()`. */
export interface ElectionOptions {
  /** How long the leadership survives a process that dies or cannot reach the cluster, in seconds. @default 10 */
  readonly ttlSeconds?: number | undefined
}

/** What an election works with. */
export interface ElectionHost {
  /** The keyspace of the election. */
  readonly store: Pick<KeyStore, 'range' | 'watch'>
  /** The prefix of the keyspace. */
  readonly namespace: Buffer
  readonly queues: LocalQueues
}

/**
 * An election of one leader at a time among candidates, in the order in which they came. It uses the keys of Go's clientv3 and
 * `etcdctl elect`: `<name>/<lease>`, with the proposal of the candidate as the value.
 *
 * @example
 * const election = etcd.election('elections/scheduler')
 * const leadership = await election.campaign('http://10.0.0.7:8080')
 * leadership.signal.addEventListener('abort', () => stopScheduling())
 */
export class Election {
  /** The name of the election, in the caller's namespace. */
  readonly name: string
  readonly #host: ElectionHost
  readonly #ttlSeconds: number
  readonly #prefix: Buffer

  /** Created by `election()`. */
  constructor(name: string, options: ElectionOptions, host: ElectionHost) {
    this.name = checkLockName(name)
    assertKnownOptions('election()', options, ['ttlSeconds'])
    this.#host = host
    this.#ttlSeconds = positiveInteger('ttlSeconds', options.ttlSeconds ?? 10)
    this.#prefix = Buffer.from(`${name}/`)
  }

  /**
   * Waits to be elected. There is no time limit unless `timeoutMs` or `signal` sets one. When it rejects, no candidate is left
   * behind. A candidate whose lease ends during the wait comes last again.
   *
   * @param value What observers see while this candidate leads, for example its address.
   * @throws `LockTimeoutError` after `timeoutMs`, and the reason of `signal`.
   */
  async campaign(value: string, options: CallOptions = {}): Promise<Leadership> {
    assertKnownOptions('campaign()', options, ['signal', 'timeoutMs'])
    checkLockValue(value)
    const signal = optionalSignal('signal', options.signal)
    signal?.throwIfAborted()
    const { timeoutMs = Number.POSITIVE_INFINITY } = options
    const lock = await this.#host.queues.of(this.#host.namespace, this.name).acquire({
      name: this.name,
      kind: 'election',
      ttlSeconds: this.#ttlSeconds,
      value,
      timeoutMs: durationMs('timeoutMs', timeoutMs),
      signal,
      waits: true,
      // Each leader has a separate key, for observers.
      sharesKey: false,
    })
    return new Leadership(lock)
  }

  /** Reads the leader, linearizably; `null` for none. */
  async leader(options: CallOptions = {}): Promise<LockHolder | null> {
    checkCall('leader()', options)
    const { kvs } = await this.#host.store.range({ prefix: this.#prefix }, { ...options, mode: 'linearizable' })
    return holderOrNull(this.#leaderAmong(kvs))
  }

  /**
   * Yields the leader now, and again whenever the leader or its value changes; `null` for none. Candidates that wait are never
   * yielded. It begins as soon as the cluster can be read, and throws as a watch does, except after a compaction: then the
   * leaders in the compacted history are skipped.
   */
  async *observe(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<LockHolder | null, void, undefined> {
    assertKnownOptions('observe()', options, ['signal'])
    const signal = optionalSignal('signal', options.signal)
    const wait = new DeadlineScope({ signal }, 'there is no time limit', () => undefined)
    let last: KeyValue | undefined
    let hasBegun = false
    try {
      for await (const leader of this.#leaders(wait)) {
        if (hasBegun && leader?.modRevision === last?.modRevision) continue
        hasBegun = true
        last = leader
        yield holderOrNull(leader)
      }
    } finally {
      wait.end()
    }
  }

  /** The leader after each change of the candidates, which are listed and then watched. */
  async *#leaders(wait: DeadlineScope): AsyncGenerator<KeyValue | undefined, void, undefined> {
    const prefix = this.#prefix
    const { store } = this.#host
    for (;;) {
      const list = (signal: AbortSignal) => store.range({ prefix }, { mode: 'linearizable', signal })
      const { kvs, revision } = await wait.repeat(list)
      const candidates = new Map(kvs.map((kv) => [kv.key.toString('latin1'), kv]))
      yield this.#leaderAmong([...candidates.values()])
      try {
        const watcher = store.watch({ prefix }, { startRevision: revision + 1, signal: wait.signal })
        for await (const { events } of watcher.batches()) {
          for (const event of events) apply(candidates, event)
          yield this.#leaderAmong([...candidates.values()])
        }
        return
      } catch (error) {
        if (!isEtcdError(error, 'COMPACTED')) throw error
      }
    }
  }

  #leaderAmong(kvs: readonly KeyValue[]): KeyValue | undefined {
    return oldestOf(kvs.filter((kv) => isLeaseEntry(this.#prefix, kv)))
  }
}

function holderOrNull(leader: KeyValue | undefined): LockHolder | null {
  return leader === undefined ? null : holderOf(leader, 0)
}

function apply(candidates: Map<string, KeyValue>, { type, kv }: WatchEvent): void {
  if (type === 'put') candidates.set(kv.key.toString('latin1'), kv)
  else candidates.delete(kv.key.toString('latin1'))
}
