import { halfJitterMs } from '../core/backoff.js'
import { Emitter } from '../core/emitter.js'
import { InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, intervalMs, oneOf, ownBytes } from '../core/validate.js'
import { sleep } from '../core/wait.js'
import { key as keyOf } from '../kv/compare.js'
import type { Kv } from '../kv/kv.js'
import { get, put } from '../kv/operation.js'
import { ObservedRevisions } from './observed-revisions.js'

/** Options of `compactor()`. */
export interface CompactorOptions {
  /**
   * Minimum age of the history that is kept, in milliseconds. If compactors of one cluster differ, the shortest
   * applies.
   * @default 300 000, 5 minutes
   */
  readonly retainMs?: number | undefined
  /**
   * Interval between compactions, in milliseconds. History can be that much longer than `retainMs`. @default `retainMs`
   */
  readonly intervalMs?: number | undefined
  /**
   * The key through which the compactors of a cluster coordinate, outside of any namespace. @default 'compact_rev_key',
   * as in kube-apiserver
   */
  readonly key?: Bytes | undefined
}

/** What a compactor is doing. */
export type CompactorState =
  /** Waiting for its next round. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'working' }
  /** Its last round failed; it retries with backoff. */
  | { readonly kind: 'retrying'; readonly error: unknown }
  | { readonly kind: 'closed' }

/** Events of a compactor. */
export interface CompactorEvents {
  /** This compactor has discarded the history before `revision`. */
  compacted: { readonly revision: number }
  /** Another compactor has discarded the history before `revision` in this round. */
  yielded: { readonly revision: number }
  /** A round failed: nothing was discarded, or the outcome is unknown. */
  retrying: { readonly error: unknown }
}

/** What a compactor needs from its client. */
export interface CompactorHost {
  readonly kv: Pick<Kv, 'txn' | 'range' | 'compact'>
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal
  /** Calls the listener when the cluster turns out to be another one, or restored from a backup. */
  onRestored(listener: () => void): () => void
}

/** The last known content of the shared key: its version and the compacted revision. */
interface Turn {
  readonly version: number
  readonly compacted: number
}

const defaults = { retainMs: 300_000, key: 'compact_rev_key' }
const optionNames = ['retainMs', 'intervalMs', 'key']
const eventNames = ['compacted', 'yielded', 'retrying'] as const
const retryBackoff = { baseMs: 500, maxMs: 60_000 }
/** Node's timers may fire a millisecond early, when the last observation is not old enough yet. */
const timerSlackMs = 2

/**
 * Discards history at regular intervals, in any number of processes and without a leader. In each round, every
 * compactor tries to write the shared key on condition that nobody has written it since it last read it; the one that
 * succeeds compacts. If that process dies, another one succeeds in the next round.
 *
 * Invariant: a revision is compacted only by a compactor that observed the store at that revision at least `retainMs`
 * ago, by a monotonic clock. A new compactor therefore discards nothing until it has run for that long, and stalls and
 * races can delay a compaction but never advance it.
 *
 * A compactor keeps the process alive until it or its client is closed. It requires the role root if authentication is
 * enabled.
 *
 * @example
 * ```ts
 * await using compactor = etcd.compactor({ retainMs: 600_000 })
 * compactor.on('compacted', ({ revision }) => console.log(revision))
 * ```
 */
export class Compactor implements AsyncDisposable {
  readonly #host: CompactorHost
  readonly #retainMs: number
  readonly #intervalMs: number
  readonly #key: Buffer
  readonly #events = new Emitter<CompactorEvents>()
  readonly #observed = new ObservedRevisions()
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #state: CompactorState = { kind: 'waiting' }
  #turn: Turn | undefined

  /** @internal Created by `compactor()`. */
  constructor(host: CompactorHost, options: CompactorOptions) {
    assertKnownOptions('compactor()', options, optionNames)
    this.#host = host
    this.#retainMs = finite('retainMs', options.retainMs ?? defaults.retainMs)
    this.#intervalMs = finite('intervalMs', options.intervalMs ?? this.#retainMs)
    this.#key = ownBytes('key', options.key ?? defaults.key)
    if (this.#key.length === 0) throw new InvalidArgumentError('`key` must not be empty')
    this.#running = this.#run()
  }

  /** What the compactor is doing. */
  get state(): CompactorState {
    return this.#state
  }

  /** The last revision that a compactor of the cluster has compacted to; `undefined` until it is known. */
  get compactRevision(): number | undefined {
    const { compacted } = this.#turn ?? { compacted: 0 }
    return compacted === 0 ? undefined : compacted
  }

  /**
   * Adds a listener for an event.
   *
   * @returns A function that removes the listener.
   */
  on<Name extends keyof CompactorEvents>(event: Name, listener: (payload: CompactorEvents[Name]) => void): () => void {
    oneOf('event', event, eventNames)
    return this.#events.on(event, listener)
  }

  /** Stops the compactor and aborts a round in progress. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** Same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(): Promise<void> {
    const { closing, onRestored } = this.#host
    const end = (): void => this.#closing.abort()
    const leave = onRestored(() => this.#observed.clear())
    closing.addEventListener('abort', end, { once: true })
    if (closing.aborted) end()
    for (let failures = 0; !this.#closing.signal.aborted; ) {
      failures = (await this.#takeTurn()) ? 0 : failures + 1
      const retryMs = failures === 0 ? Number.POSITIVE_INFINITY : halfJitterMs(failures, retryBackoff)
      await sleep(Math.min(this.#intervalMs + timerSlackMs, retryMs), undefined, this.#closing.signal)
    }
    this.#state = { kind: 'closed' }
    closing.removeEventListener('abort', end)
    leave()
  }

  /** Returns whether the round succeeded. */
  async #takeTurn(): Promise<boolean> {
    this.#state = { kind: 'working' }
    try {
      const candidate = this.#observed.olderThan(this.#retainMs, performance.now())
      if (this.#turn === undefined || candidate === undefined || candidate <= this.#turn.compacted) await this.#look()
      else if (await this.#claim(this.#turn.version, candidate)) await this.#compact(candidate)
      this.#state = { kind: 'waiting' }
      return true
    } catch (error) {
      if (isEtcdError(error, 'CLOSED')) this.#closing.abort()
      if (this.#closing.signal.aborted) return false
      this.#state = { kind: 'retrying', error }
      this.#events.emit('retrying', { error })
      return false
    }
  }

  /** Reads the shared key and the revision without taking part in the round. */
  async #look(): Promise<void> {
    const { signal } = this.#closing
    const { kvs, revision } = await this.#host.kv.range({ key: this.#key }, { mode: 'linearizable', signal })
    this.#learn(kvs[0], revision)
  }

  /** Writes the shared key, unless another compactor has written it since `version`. */
  async #claim(version: number, candidate: number): Promise<boolean> {
    const { signal } = this.#closing
    const claim = this.#host.kv.txn().if(keyOf(this.#key).version.equals(version))
    const result = await claim
      .then(put(this.#key, String(candidate)))
      .else(get(this.#key))
      .commit({ signal })
    if (result.succeeded) {
      this.#observed.add(result.revision, performance.now())
      this.#turn = { version: version + 1, compacted: candidate }
      return true
    }
    this.#learn(result.responses[0], result.revision)
    this.#events.emit('yielded', { revision: this.#turn?.compacted ?? 0 })
    return false
  }

  #learn(kv: Pick<KeyValue, 'version' | 'value'> | undefined, revision: number): void {
    this.#observed.add(revision, performance.now())
    this.#turn = { version: kv?.version ?? 0, compacted: Number.parseInt(kv?.value.toString('latin1') ?? '0', 10) || 0 }
  }

  async #compact(revision: number): Promise<void> {
    try {
      await this.#host.kv.compact(revision, { signal: this.#closing.signal })
    } catch (error) {
      // The history is already shorter, for example because the servers compact automatically.
      if (isEtcdError(error, 'COMPACTED')) return
      throw error
    }
    this.#events.emit('compacted', { revision })
  }
}

function finite(name: string, value: unknown): number {
  const ms = intervalMs(name, value)
  if (Number.isFinite(ms)) return ms
  throw new InvalidArgumentError(`\`${name}\` must be milliseconds, got Infinity`)
}
