import { halfJitterMs } from '../core/backoff.js'
import { Emitter } from '../core/emitter.js'
import { InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe, intervalMs, keyBytes, oneOf } from '../core/validate.js'
import { sleep } from '../core/wait.js'
import { key as keyOf } from '../kv/compare.js'
import type { Kv } from '../kv/kv.js'
import { get, put } from '../kv/operation.js'
import { ObservedRevisions } from './observed-revisions.js'

/** Options of `compactor()`. */
export interface CompactorOptions {
  /**
   * How much history is kept at the least, in milliseconds. Where compactors differ in it, the shortest counts.
   * @default 300 000, 5 minutes
   */
  readonly retainMs?: number | undefined
  /** How often history is discarded; up to so much more than `retainMs` is kept. @default `retainMs` */
  readonly intervalMs?: number | undefined
  /** The key that all compactors of a cluster agree by, in no namespace. @default 'compact_rev_key', as kube-apiserver's */
  readonly key?: Bytes | undefined
}

/** What a compactor is doing. */
export type CompactorState =
  /** Until its next turn. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'working' }
  /** Its last turn failed; it tries again by itself. */
  | { readonly kind: 'retrying'; readonly error: unknown }
  | { readonly kind: 'closed' }

/** What happens to a compactor. */
export interface CompactorEvents {
  /** It has discarded the history before `revision`. */
  compacted: { readonly revision: number }
  /** Another one had the turn, and has discarded the history before `revision`. */
  yielded: { readonly revision: number }
  /** A turn failed: nothing was discarded, or that is unknown. */
  retrying: { readonly error: unknown }
}

/** What a compactor works with. */
export interface CompactorHost {
  readonly kv: Pick<Kv, 'txn' | 'range' | 'compact'>
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal
  /** Calls the listener when the cluster is found to be another one, or restored from a backup. */
  onRestored(listener: () => void): () => void
}

/** What the key that compactors share said last: how often it was written, and what for. */
interface Turn {
  readonly version: number
  readonly compacted: number
}

const defaults = { retainMs: 300_000, key: 'compact_rev_key' }
const optionNames = ['retainMs', 'intervalMs', 'key']
const eventNames = ['compacted', 'yielded', 'retrying'] as const
const retryBackoff = { baseMs: 500, maxMs: 60_000 }
/** Node's timers may go off a millisecond early, when what was seen at the last turn would not be old enough yet. */
const timerSlackMs = 2

/**
 * Discards history at regular times, in as many processes as you like, without a leader. Each turn, every compactor
 * tries to write the shared key under the condition that nobody has written it since it looked last; the one that
 * succeeds compacts. When that one is gone, another succeeds.
 *
 * A revision is only ever compacted by a compactor that has itself seen the store at it `retainMs` ago or earlier, by a
 * clock that does not jump. So a new one discards nothing before it has run that long, and whatever stalls or races
 * there are delay a compaction, but never bring it forward.
 *
 * It keeps the process open until it is closed, or its client is. It needs the role root where authentication is on.
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

  /** Made by `compactor()`. */
  constructor(host: CompactorHost, options: CompactorOptions) {
    assertKnownOptions('compactor()', options, optionNames)
    this.#host = host
    this.#retainMs = finite('retainMs', options.retainMs ?? defaults.retainMs)
    this.#intervalMs = finite('intervalMs', options.intervalMs ?? this.#retainMs)
    this.#key = keyBytes('key', options.key ?? defaults.key)
    if (this.#key.length === 0) throw new InvalidArgumentError('`key` must have at least one byte')
    this.#running = this.#run()
  }

  get state(): CompactorState {
    return this.#state
  }

  /** The revision that the compactors of the cluster have compacted at last; `undefined` before that is known. */
  get compactRevision(): number | undefined {
    const { compacted } = this.#turn ?? { compacted: 0 }
    return compacted === 0 ? undefined : compacted
  }

  /** Calls `listener` for each event from now on; returns a function that ends that. */
  on<Name extends keyof CompactorEvents>(event: Name, listener: (payload: CompactorEvents[Name]) => void): () => void {
    oneOf('event', event, eventNames)
    if (typeof listener === 'function') return this.#events.on(event, listener)
    throw new InvalidArgumentError(`\`listener\` must be a function, got ${describe(listener)}`)
  }

  /** Ends it, and a turn that is under way. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

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

  /** Returns whether it went well. */
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

  /** Learns the turn and the revision without taking part. */
  async #look(): Promise<void> {
    const { signal } = this.#closing
    const { kvs, revision } = await this.#host.kv.range({ key: this.#key }, { mode: 'linearizable', signal })
    this.#learn(kvs[0], revision)
  }

  /** Takes the turn, unless somebody has had one since `version`. */
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
      // Somebody who takes no turns, such as the servers themselves, has gone further already.
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
