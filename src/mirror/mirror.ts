import { halfJitterMs } from '../core/backoff.js'
import { Emitter } from '../core/emitter.js'
import { EtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { nonNegativeInteger, oneOf } from '../core/validate.js'
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
  /** Reading its progress. */
  | { readonly kind: 'starting' }
  /** Comparing both sides, the source as of `revision`. */
  | { readonly kind: 'listing'; readonly revision: number }
  /** Applying changes; the destination has all changes up to `revision`. */
  | { readonly kind: 'watching'; readonly revision: number }
  /** One side is unreachable; the mirror retries. */
  | { readonly kind: 'retrying'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'closed' }

/** Events of a mirror. */
export interface MirrorEvents {
  /** Both sides were compared and are equal as of `revision`. */
  synced: { readonly revision: number }
  /** The mirror cannot continue from its progress, so it compares both sides again. `error` is the reason. */
  resync: { readonly error: unknown }
  /** A read or a write failed and is retried. */
  retrying: { readonly error: unknown }
  /** The mirror has ended with a permanent error. */
  failed: { readonly error: unknown }
}

/** Both sides of a mirror. */
export interface MirrorSides {
  readonly source: MirrorSource
  readonly destination: MirrorDestination
  /** Why one side is unreachable. */
  readonly obstacle?: Obstacle
}

const eventNames = ['synced', 'resync', 'retrying', 'failed'] as const
const backoff = { baseMs: 100, maxMs: 5000 }
const defaultWaitMs = 10_000
/** Maximum age of the stored progress of a quiet mirror, so that it does not fall behind the source's compaction. */
const saveEveryMs = 60_000
const nothing = Buffer.alloc(0)

/**
 * Copies the keys with a prefix to another cluster, or to another prefix, and keeps the copies up to date. It first
 * compares both sides at one revision of the source and writes the differences; it then applies every change in order,
 * with the changes of one revision in one transaction if they fit. Leases are not copied: a copy is deleted when its
 * original is.
 *
 * Each transaction also stores the progress, so a restarted mirror resumes without missing or repeating a change. If
 * two mirrors with one progress key run at once, one ends with `MIRROR_CONFLICT` when both have something to write.
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
  /** The source cannot continue from the stored progress. */
  #hasGap = false
  #savedAt = 0

  /** @internal Created by `mirror()`. */
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

  /** What the mirror is doing. */
  get state(): MirrorState {
    return this.#state
  }

  /**
   * Adds a listener for an event.
   *
   * @returns A function that removes the listener.
   */
  on<Name extends keyof MirrorEvents>(event: Name, listener: (payload: MirrorEvents[Name]) => void): () => void {
    oneOf('event', event, eventNames)
    return this.#events.on(event, listener)
  }

  /**
   * Waits until the destination has everything that the source had at `revision`; without `revision`, until both sides
   * have been compared.
   *
   * @returns The revision that the destination has reached.
   * @throws The error that ended the mirror, or `DEADLINE_EXCEEDED` after `timeoutMs`, 10 s by default.
   */
  async synced(revision = 0, options: CallOptions = {}): Promise<number> {
    checkCall('synced()', options)
    nonNegativeInteger('revision', revision)
    return this.#gate.wait(revision, { signal: options.signal, timeoutMs: options.timeoutMs ?? defaultWaitMs })
  }

  /** Stops the mirror. Another one may resume from its progress. */
  async close(): Promise<void> {
    this.#closing.abort(closed())
    await this.#running
  }

  /** Same as `close()`, for `await using`. */
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

  /** Continues from the progress; only ends by throwing. */
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
    // Answered by the client's `fallback`. A member that lags behind would look like a restored cluster.
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
      // A revision that takes several transactions is repeated from its beginning if it is interrupted.
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

  /** Ends the mirror if it was closed or failed permanently. */
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

/** The progress, checked against the current history of the source. Throws if it differs. */
function resumedAt(stored: Progress, now: Position): Progress {
  checkSameHistory(stored, now)
  const isToldNothing = stored.clusterId !== undefined || now.clusterId === undefined
  return isToldNothing ? stored : { ...stored, clusterId: now.clusterId }
}

/** The differences without deletions of keys that exist only at the destination. */
async function* puts(changes: AsyncIterable<Difference>): AsyncGenerator<Difference, void, undefined> {
  for await (const change of changes) if (change.value !== undefined) yield change
}

function closed(): EtcdError {
  return new EtcdError('the mirror is closed', { code: 'CLOSED', effect: 'none' })
}
