import { InvalidArgumentError } from '../core/errors.js'
import type { KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe, durationMs, optionalSignal, positiveInteger } from '../core/validate.js'
import type { LockHolder } from '../lock/lock-errors.js'
import type { LockStore } from '../lock/lock-key.js'
import { LockQueue, type LockQueueHost } from '../lock/lock-queue.js'
import type { CallOptions } from '../transport/transport.js'
import type { Watcher } from '../watch/watcher.js'
import { Leadership } from './leadership.js'

/** Options of `election()`. */
export interface ElectionOptions {
  /** How long the leadership outlives a process that dies, or that cannot reach the cluster. @default 10 */
  readonly ttlSeconds?: number | undefined
}

/** What an election reads and watches with. */
export interface ElectionStore extends LockStore {
  range(
    range: KeyRange,
    options: { readonly limit?: number; readonly sort?: { readonly target: 'createRevision' } } & CallOptions,
  ): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }>
  watch(
    range: KeyRange,
    options: { readonly only?: 'delete'; readonly startRevision: number; readonly signal?: AbortSignal },
  ): Watcher
}

/**
 * An election of one leader at a time among those who campaign, in the order in which they came. Candidates are keys as
 * Go's clientv3 and `etcdctl elect` write them: `<name>/<lease>`, with what they propose as the value.
 */
export class Election {
  readonly name: string
  readonly #store: ElectionStore
  readonly #queue: LockQueue
  readonly #ttlSeconds: number

  /** Made by `election()`. */
  constructor(
    name: string,
    options: ElectionOptions,
    { store, session }: { readonly store: ElectionStore; readonly session: LockQueueHost['session'] },
  ) {
    if (typeof name !== 'string' || name === '') {
      throw new InvalidArgumentError(`\`name\` must be a string of at least one letter, got ${describe(name)}`)
    }
    assertKnownOptions('election()', options, ['ttlSeconds'])
    this.name = name
    this.#store = store
    this.#ttlSeconds = positiveInteger('ttlSeconds', options.ttlSeconds ?? 10)
    // Each leader has a key of its own, so that observers see one come after the other.
    this.#queue = new LockQueue(name, { store, session, mostHandOvers: 0 }, () => {})
  }

  /**
   * Waits to be elected; `value` is what others see of the leader. Waits as long as it takes unless `timeoutMs` or `signal`
   * end it; then no candidate stays behind. A candidate whose lease ends while it waits comes last again.
   */
  async campaign(value: string, options: CallOptions = {}): Promise<Leadership> {
    assertKnownOptions('campaign()', options, ['signal', 'timeoutMs'])
    if (typeof value !== 'string') throw new InvalidArgumentError(`\`value\` must be a string, got ${describe(value)}`)
    const signal = optionalSignal('signal', options.signal)
    signal?.throwIfAborted()
    const { timeoutMs = Number.POSITIVE_INFINITY } = options
    const request = { ttlSeconds: this.#ttlSeconds, value, timeoutMs: durationMs('timeoutMs', timeoutMs), signal }
    return new Leadership(await this.#queue.acquire(request))
  }

  /** The leader; `undefined` for none. */
  async leader(options: CallOptions = {}): Promise<LockHolder | undefined> {
    const { kvs } = await this.#store.range(
      { prefix: `${this.name}/` },
      { ...options, limit: 1, sort: { target: 'createRevision' } },
    )
    const [kv] = kvs
    return kv && candidate(kv)
  }

  /** The leader now, and again whenever it is another one or tells something else; `undefined` for none. */
  async *observe({
    signal,
  }: {
    readonly signal?: AbortSignal
  } = {}): AsyncGenerator<LockHolder | undefined, void, undefined> {
    const range = { prefix: `${this.name}/` }
    const { kvs, revision } = await this.#store.range(range, signal === undefined ? {} : { signal })
    const candidates = new Map(kvs.map((kv) => [kv.key.toString('latin1'), kv]))
    let told = oldest(candidates)
    yield told && candidate(told)
    const options = { startRevision: revision + 1, ...(signal === undefined ? {} : { signal }) }
    for await (const { events } of this.#store.watch(range, options).batches()) {
      for (const { type, kv } of events) {
        if (type === 'put') candidates.set(kv.key.toString('latin1'), kv)
        else candidates.delete(kv.key.toString('latin1'))
      }
      const leader = oldest(candidates)
      if (leader?.modRevision === told?.modRevision) continue
      told = leader
      yield told && candidate(told)
    }
  }
}

function oldest(candidates: ReadonlyMap<string, KeyValue>): KeyValue | undefined {
  let found: KeyValue | undefined
  for (const kv of candidates.values()) if (found === undefined || kv.createRevision < found.createRevision) found = kv
  return found
}

function candidate({ key, value, lease, createRevision }: KeyValue): LockHolder {
  return { key: key.toString(), value: value.toString(), lease, createRevision }
}
