import { halfJitterMs } from '../core/backoff.js'
import { Emitter } from '../core/emitter.js'
import { EtcdError, InvalidArgumentError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { describe, nonNegativeInteger, oneOf } from '../core/validate.js'
import { type Obstacle, sleep } from '../core/wait.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchBatch } from '../watch/watch-event.js'
import { type Difference, differences } from './difference.js'
import { checkSameHistory, fromDestination, isFinal, isGap } from './mirror-errors.js'
import {
  type MirrorDestination,
  type MirrorOptions,
  type MirrorPlan,
  type MirrorSource,
  planOf,
  rangeAfter,
} from './mirror-options.js'
import { MirrorWriter } from './mirror-writer.js'
import type { Position, Progress } from './progress.js'
import { RevisionGate } from './revision-gate.js'

/** What a mirror is doing. */
export type MirrorState =
  /** It finds out how far it has come. */
  | { readonly kind: 'starting' }
  /** It compares both sides, as the source was at `revision`. */
  | { readonly kind: 'listing'; readonly revision: number }
  /** It copies what happens; the destination has all up to `revision`. */
  | { readonly kind: 'watching'; readonly revision: number }
  /** A side is out of reach; it tries again by itself. */
  | { readonly kind: 'retrying'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'closed' }

/** What happens to a mirror. */
export interface MirrorEvents {
  /** Both sides were compared, and are the same as of `revision`. */
  synced: { readonly revision: number }
  /** The source has no way on from where the mirror was, so both sides are compared anew. */
  resync: { readonly error: unknown }
  /** A read or a write failed, and is tried again. */
  retrying: { readonly error: unknown }
  /** It has ended, for an error that would be the same again. */
  failed: { readonly error: unknown }
}

/** Both sides of a mirror. */
export interface MirrorSides {
  readonly source: MirrorSource
  readonly destination: MirrorDestination
  /** Why one of them cannot be reached. */
  readonly obstacle?: Obstacle
}

const eventNames = ['synced', 'resync', 'retrying', 'failed'] as const
const backoff = { baseMs: 100, maxMs: 5000 }
const defaultWaitMs = 10_000
/** How old the stored progress of a quiet mirror may become, so that it does not fall behind the source's history. */
const saveEveryMs = 60_000
const nothing = Buffer.alloc(0)

/**
 * Copies the keys with a prefix to another cluster, or another place in the same one, and keeps the copies up to date:
 * first both sides are compared at one revision of the source, and what differs is written; then everything that
 * happens is, in order, the changes of one revision in one transaction where they fit. Leases are not copied: a copy is
 * deleted when its original is.
 *
 * How far it has come is written in the same transactions, so that a mirror that is started again goes on where the
 * last one was, with nothing missed and nothing done twice. Where two run at once, one ends with `MIRROR_CONFLICT` when
 * both have to write.
 */
export class Mirror implements AsyncDisposable {
  readonly #source: MirrorSource
  readonly #destination: MirrorDestination
  readonly #obstacle: Obstacle | undefined
  readonly #plan: MirrorPlan
  readonly #writer: MirrorWriter
  readonly #events = new Emitter<MirrorEvents>()
  readonly #closing = new AbortController()
  readonly #gate = new RevisionGate(
    () => this.#watcher?.requestProgress(),
    () => this.#hindrance,
  )
  readonly #running: Promise<void>
  #watcher: ReturnType<MirrorSource['watch']> | undefined
  #state: MirrorState = { kind: 'starting' }
  #progress: Progress | undefined
  /** The source had no way on from the progress that is stored. */
  #hasGap = false
  #savedAt = 0

  /** Made by `mirror()`. */
  constructor({ source, destination, obstacle }: MirrorSides, prefix: Bytes, options: MirrorOptions) {
    this.#plan = planOf(prefix, options)
    this.#source = source
    this.#obstacle = obstacle
    this.#destination = destination
    const host = {
      retrying: (error: unknown) => this.#retrying(error),
      written: (progress: Progress) => {
        this.#progress = progress
        this.#savedAt = performance.now()
        if (progress.phase === 'listing') this.#state = { kind: 'listing', revision: progress.revision }
      },
    }
    this.#writer = new MirrorWriter(destination, this.#plan, host, this.#closing.signal)
    this.#running = this.#run()
  }

  get state(): MirrorState {
    return this.#state
  }

  /** Calls `listener` for each event from now on; returns a function that ends that. */
  on<Name extends keyof MirrorEvents>(event: Name, listener: (payload: MirrorEvents[Name]) => void): () => void {
    oneOf('event', event, eventNames)
    if (typeof listener === 'function') return this.#events.on(event, listener)
    throw new InvalidArgumentError(`\`listener\` must be a function, got ${describe(listener)}`)
  }

  /**
   * Resolves when the destination has all that the source had at `revision`, with the revision that it has come to;
   * without one, as soon as both sides have been compared. Rejects with what ends the mirror, and with
   * `DEADLINE_EXCEEDED` after `timeoutMs`, 10 s by default.
   */
  async synced(revision = 0, options: CallOptions = {}): Promise<number> {
    checkCall('synced()', options)
    nonNegativeInteger('revision', revision)
    return this.#gate.wait(revision, { signal: options.signal, timeoutMs: options.timeoutMs ?? defaultWaitMs })
  }

  /** Ends it; another one may go on from where it is. */
  async close(): Promise<void> {
    this.#closing.abort(closed())
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #hindrance(): unknown {
    return this.#obstacle?.() ?? (this.#state.kind === 'retrying' ? this.#state.error : undefined)
  }

  async #run(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const before = this.#progress
      try {
        await this.#goOn()
      } catch (error) {
        if (this.#isOver(error)) return
        if (isGap(error)) this.#resync(error)
        else this.#retrying(error)
      }
      if (this.#progress !== before) attempt = 1
      await sleep(halfJitterMs(attempt, backoff), undefined, this.#closing.signal)
    }
  }

  /** Goes on from the progress; never ends but by an error. */
  async #goOn(): Promise<never> {
    const stored = this.#progress ?? (await this.#writer.load())
    const now = await this.#sourceNow()
    this.#progress = this.#hasGap || stored === undefined ? this.#listingFrom(now) : resumedAt(stored, now)
    this.#hasGap = false
    if (this.#progress.phase === 'listing') await this.#list(this.#progress)
    return this.#follow(this.#progress)
  }

  async #sourceNow(): Promise<Position> {
    const { signal } = this.#closing
    const { clusterId, revision, stale } = await this.#source.range(
      { prefix: this.#plan.prefix },
      { limit: 1, mode: 'linearizable', signal },
    )
    // By the client's `fallback`. A member that lags behind would look like a cluster that was restored.
    if (stale !== true) return { clusterId, revision }
    throw new EtcdError('the source has no leader', { code: 'NO_LEADER', effect: 'none', retryable: true })
  }

  #listingFrom(now: Position): Progress {
    return { phase: 'listing', ...now, after: nothing, deletes: this.#hasGap }
  }

  async #list({ clusterId, revision, after, deletes }: Extract<Progress, { phase: 'listing' }>): Promise<void> {
    this.#state = { kind: 'listing', revision }
    const { prefix, destinationPrefix } = this.#plan
    const { signal } = this.#closing
    const start = after.length === 0 ? undefined : after
    const options = { mode: 'linearizable', signal } as const
    const changes = differences(
      { kvs: this.#source.list(rangeAfter(prefix, start), { ...options, revision }), prefixLength: prefix.length },
      {
        kvs: fromDestination(this.#destination.list(rangeAfter(destinationPrefix, start), options)),
        prefixLength: destinationPrefix.length,
      },
    )
    await this.#writer.write(deletes ? changes : puts(changes), (last) =>
      last === undefined
        ? { phase: 'following', clusterId, revision }
        : { phase: 'listing', clusterId, revision, after: last.rest, deletes },
    )
    this.#events.emit('synced', { revision })
  }

  async #follow({ clusterId, revision }: Position): Promise<never> {
    const { signal } = this.#closing
    this.#advance(revision)
    const watcher = this.#source.watch(
      { prefix: this.#plan.prefix },
      { startRevision: revision + 1, progress: true, signal },
    )
    this.#watcher = watcher
    try {
      for await (const batch of watcher.batches()) await this.#apply(batch, clusterId)
    } finally {
      this.#watcher = undefined
      await watcher.close()
    }
    throw closed()
  }

  async #apply({ revision, events }: WatchBatch, clusterId: string | undefined): Promise<void> {
    const isDue = performance.now() - this.#savedAt > saveEveryMs
    if (events.length > 0 || isDue) {
      const before = revision - 1
      const { length } = this.#plan.prefix
      const changes = events.map(({ type, kv }) => ({
        rest: kv.key.subarray(length),
        value: type === 'put' ? kv.value : undefined,
      }))
      // A revision that takes several transactions is done over from its beginning if it is interrupted.
      await this.#writer.write(changes, (last) => ({
        phase: 'following',
        clusterId,
        revision: last === undefined ? revision : before,
      }))
    }
    this.#advance(revision)
  }

  #advance(revision: number): void {
    this.#state = { kind: 'watching', revision }
    this.#gate.advance(revision)
  }

  #resync(reason: unknown): void {
    this.#hasGap = true
    this.#gate.reset()
    this.#events.emit('resync', { error: reason })
  }

  #retrying(error: unknown): void {
    this.#state = { kind: 'retrying', error }
    this.#events.emit('retrying', { error })
  }

  /** Ends it if it was closed, or failed for good. */
  #isOver(error: unknown): boolean {
    const isClosed = this.#closing.signal.aborted
    const isFatal = isFinal(error) || (isGap(error) && !this.#plan.resyncs)
    if (!isClosed && !isFatal) return false
    this.#state = isClosed ? { kind: 'closed' } : { kind: 'failed', error }
    this.#gate.fail(isClosed ? closed() : error)
    if (!isClosed) this.#events.emit('failed', { error })
    return true
  }
}

/** The progress as one of the source as it is now. Throws if that has another history. */
function resumedAt(stored: Progress, now: Position): Progress {
  checkSameHistory(stored, now)
  const isToldNothing = stored.clusterId !== undefined || now.clusterId === undefined
  return isToldNothing ? stored : { ...stored, clusterId: now.clusterId }
}

/** Without what only the destination has. */
async function* puts(changes: AsyncIterable<Difference>): AsyncGenerator<Difference, void, undefined> {
  for await (const change of changes) if (change.value !== undefined) yield change
}

function closed(): EtcdError {
  return new EtcdError('the mirror is closed', { code: 'CLOSED', effect: 'none' })
}
