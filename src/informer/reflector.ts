import { halfJitterMs } from '../core/backoff.js'
import { CompactedError, type ErrorCode, EtcdError, isEtcdError } from '../core/errors.js'
import type { KeyValue } from '../core/key-value.js'
import { sleep } from '../core/wait.js'
import { type ClusterIdentity, type History, otherHistory } from '../transport/connection/cluster-identity.js'
import { isTerminal } from '../watch/terminal.js'
import type { WatchBatch } from '../watch/watch-event.js'
import type { Watcher } from '../watch/watcher.js'

/** The source of a reflector. */
export interface ReflectorSource {
  /** All keys, page by page at one revision. `onRestart`: the listing starts over, and the pages so far are void. */
  pages(options: { readonly signal: AbortSignal; readonly onRestart: () => void }): AsyncIterable<ReflectedPage>
  watch(options: { readonly startRevision: number; readonly signal: AbortSignal }): ReflectedWatch
  readonly cluster: Pick<ClusterIdentity, 'history' | 'onHistory'>
}

/** The part of a watch that a reflector uses. */
export type ReflectedWatch = Pick<Watcher, 'batches' | 'requestProgress' | 'status' | 'lastMessageAt' | 'ping'>

/** A page of a listing. */
export interface ReflectedPage {
  readonly kvs: readonly KeyValue[]
  readonly revision: number
}

/** The target of a reflector. */
export interface ReflectorTarget {
  /** Starts a listing. `isSameHistory` is false if the history of the cluster changed. */
  draft(isSameHistory: boolean): { add(kv: KeyValue): void; finish(revision: number): void }
  /** A listing has replaced the previous state. */
  listed(revision: number, gap: Gap | undefined): void
  apply(batch: WatchBatch): void
  /** A step failed and is retried. */
  retrying(error: unknown): void
  /** The reflector has failed permanently. */
  failed(error: unknown): void
}

/** Why a listing had to replace events. */
export interface Gap {
  readonly code: ErrorCode
  /** The last revision before the gap. */
  readonly fromRevision: number
  /** The oldest revision that etcd still has, if known. */
  readonly compactRevision: number | undefined
}

/** The state of a reflector. */
export type ReflectorState =
  | { readonly kind: 'listing' }
  | { readonly kind: 'watching'; readonly watcher: ReflectedWatch }
  /** It failed, and waits before it lists again. */
  | { readonly kind: 'retrying'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'closed' }

/** After these errors the history of the cluster is another one: the same revision may have another content. */
const rewinds: ReadonlySet<ErrorCode> = new Set(['CLUSTER_CHANGED', 'REVISION_REWOUND'])
/** Errors that a listing resolves. */
const gaps: ReadonlySet<ErrorCode> = new Set(['COMPACTED', ...rewinds])
const backoff = { baseMs: 100, maxMs: 5000 }
/** A watch that lasted this long resets the count of consecutive failures. */
const healthyMs = 5000

/**
 * Follows a range of keys: lists it at one revision, then watches from the next one. A gap in the events, caused only
 * by compaction or a changed history, is closed by another listing. The reflector ends with `close()` or a permanent
 * error; it reports all other errors and retries.
 */
export class Reflector {
  readonly #source: ReflectorSource
  readonly #target: ReflectorTarget
  readonly #closing = new AbortController()
  readonly #sourceClosing: AbortSignal | undefined
  /** The history of the last listing and of everything after it. */
  #history: History
  #state: ReflectorState = { kind: 'listing' }
  #failures = 0
  #watchingSince = 0
  #revision = 0
  #resyncs = 0
  #trouble: unknown

  /**
   * `sourceClosing` aborts when the source closes. The reflector then waits for nothing more and ends with its error.
   */
  constructor(source: ReflectorSource, target: ReflectorTarget, sourceClosing?: AbortSignal) {
    this.#source = source
    this.#target = target
    this.#sourceClosing = sourceClosing
    this.#history = source.cluster.history
  }

  get state(): ReflectorState {
    return this.#state
  }

  /** Whether the history of the cluster changed since the last listing. */
  get isOutdated(): boolean {
    return this.#history !== this.#source.cluster.history
  }

  /** The last error. */
  get lastError(): unknown {
    return this.#trouble
  }

  /** Number of listings that replaced events. */
  get resyncs(): number {
    return this.#resyncs
  }

  start(): void {
    void this.#run()
  }

  /** Nothing has changed up to `revision`. */
  progress(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
  }

  close(): void {
    if (this.#state.kind === 'failed') return
    this.#state = { kind: 'closed' }
    this.#closing.abort()
  }

  async #run(): Promise<void> {
    let gap: Gap | undefined
    while (!this.#isOver) {
      try {
        await this.#list(gap)
        gap = undefined
        await this.#follow()
      } catch (error) {
        if (this.#isOver) return
        gap = this.#gapAfter(error, gap)
        await this.#recover(error)
      }
    }
  }

  get #isOver(): boolean {
    return this.#state.kind === 'closed' || this.#state.kind === 'failed'
  }

  async #list(known: Gap | undefined): Promise<void> {
    this.#state = { kind: 'listing' }
    const history = this.#source.cluster.history
    const gap = this.#gapBetween(history, known)
    const isSameHistory = !isRewind(gap)
    let draft = this.#target.draft(isSameHistory)
    let revision = 0
    const onRestart = (): void => {
      draft = this.#target.draft(isSameHistory)
    }
    for await (const page of this.#source.pages({ signal: this.#closing.signal, onRestart })) {
      revision = page.revision
      if (isSameHistory && revision < this.#revision) throw behind(revision, this.#revision)
      for (const kv of page.kvs) draft.add(kv)
    }
    if (this.#isOver) return
    // Its pages may be from both histories.
    if (this.#source.cluster.history !== history) throw otherHistory(this.#source.cluster.history)
    draft.finish(revision)
    this.#history = history
    this.#revision = revision
    if (gap !== undefined) this.#resyncs += 1
    this.#target.listed(revision, gap)
  }

  async #follow(): Promise<void> {
    if (this.#isOver) return
    const watching = new AbortController()
    const outdated = (): void => watching.abort(otherHistory(this.#source.cluster.history))
    const end = (): void => watching.abort(this.#closing.signal.reason)
    const leave = this.#source.cluster.onHistory(outdated)
    this.#closing.signal.addEventListener('abort', end, { once: true })
    try {
      if (this.isOutdated) outdated()
      await this.#watch(watching.signal)
    } finally {
      leave()
      this.#closing.signal.removeEventListener('abort', end)
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const watcher = this.#source.watch({ startRevision: this.#revision + 1, signal })
    this.#state = { kind: 'watching', watcher }
    this.#watchingSince = performance.now()
    for await (const batch of watcher.batches()) {
      if (this.#isOver) return
      this.progress(batch.revision)
      this.#target.apply(batch)
    }
    throw new EtcdError('the watch has ended', { code: 'WATCH_CANCELED', effect: 'none' })
  }

  /**
   * The gap that a listing of this history closes. The history may have changed even if the watch ended because of
   * compaction.
   */
  #gapBetween(history: History, gap: Gap | undefined): Gap | undefined {
    const { after } = history
    if (this.#revision === 0 || after === undefined || history === this.#history || isRewind(gap)) return gap
    return { code: after, fromRevision: this.#revision, compactRevision: undefined }
  }

  /** The gap that the next listing closes. Before the first listing nothing can be missed. */
  #gapAfter(error: unknown, gap: Gap | undefined): Gap | undefined {
    if (this.#revision === 0 || gap !== undefined) return gap
    const code = isEtcdError(error) ? error.code : 'UNKNOWN'
    const compactRevision = error instanceof CompactedError ? error.compactRevision : undefined
    return { code, fromRevision: this.#revision, compactRevision }
  }

  async #recover(error: unknown): Promise<void> {
    if (isTerminal(error)) {
      this.#state = { kind: 'failed', error }
      this.#target.failed(error)
      return
    }
    const wasWatching = this.#state.kind === 'watching'
    if (wasWatching && performance.now() - this.#watchingSince >= healthyMs) this.#failures = 0
    this.#failures += 1
    const isGap = wasWatching && isEtcdError(error) && gaps.has(error.code)
    if (!isGap) this.#target.retrying(error)
    else if (this.#failures === 1) return
    this.#state = { kind: 'retrying', error }
    this.#trouble = error
    await sleep(halfJitterMs(this.#failures, backoff), this.#closing.signal, this.#sourceClosing).catch(() => {})
  }
}

/** Whether the history of the cluster changed at a gap. */
export function isRewind(gap: Gap | undefined): boolean {
  return gap !== undefined && rewinds.has(gap.code)
}

function behind(revision: number, shown: number): EtcdError {
  return new EtcdError(`a listing of revision ${revision} is behind ${shown}, which was shown already`, {
    code: 'NO_LEADER',
    effect: 'none',
    retryable: true,
  })
}
