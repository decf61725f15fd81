import { sleep } from '../core/abort.js'
import { halfJitterMs } from '../core/backoff.js'
import { CompactedError, type ErrorCode, isEtcdError } from '../core/errors.js'
import type { KeyValue } from '../core/key-value.js'
import type { WatchBatch } from '../watch/watch-event.js'
import type { Watcher } from '../watch/watcher.js'

/** Where a reflector reads from. */
export interface ReflectorSource {
  /** All keys, page by page at one revision. `onRestart`: the listing begins anew, what was read so far is void. */
  pages(options: { readonly signal: AbortSignal; readonly onRestart: () => void }): AsyncIterable<ReflectedPage>
  watch(options: { readonly startRevision: number; readonly signal: AbortSignal }): Watcher
}

/** A page of a listing. */
export interface ReflectedPage {
  readonly kvs: readonly KeyValue[]
  readonly revision: number
}

/** Where a reflector's readings go. */
export interface ReflectorTarget {
  /** Begins a listing. */
  draft(): { add(kv: KeyValue): void; finish(revision: number): void }
  /** A listing has taken the place of everything before. */
  listed(revision: number, gap: Gap | undefined): void
  apply(batch: WatchBatch): void
  /** It failed, and goes on. */
  troubled(error: unknown): void
  /** It failed for good. */
  failed(error: unknown): void
}

/** Why a listing had to take the place of events. */
export interface Gap {
  readonly code: ErrorCode | 'REFRESH'
  /** The last revision before the gap. */
  readonly fromRevision: number
  /** The oldest revision that etcd still has, where it was said. */
  readonly compactRevision: number | undefined
}

/** What a reflector is doing. */
export type ReflectorState =
  | { readonly kind: 'listing' }
  | { readonly kind: 'watching'; readonly watcher: Watcher }
  /** It failed and waits before it lists again. */
  | { readonly kind: 'waiting'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'closed' }

/** After these a listing tells what was missed. */
const gaps: ReadonlySet<ErrorCode> = new Set(['COMPACTED', 'CLUSTER_CHANGED', 'REVISION_REWOUND'])
/** After these it would be the same again. */
const terminal: ReadonlySet<ErrorCode> = new Set([
  'AUTH_FAILED',
  'CLOSED',
  'EMPTY_KEY',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
])
const backoff = { baseMs: 100, maxMs: 5000 }

/** The reason of an abort that only means to list again. */
const refresh = Symbol('refresh')

/**
 * Follows a range of keys: lists it at one revision, then watches from the next one on. A gap in the events, which only
 * compaction or another cluster makes, is closed by another listing. It ends with `close()` or a failure that would be
 * the same again; everything else is told and gone on from.
 */
export class Reflector {
  readonly #source: ReflectorSource
  readonly #target: ReflectorTarget
  readonly #closing = new AbortController()
  #round = new AbortController()
  #state: ReflectorState = { kind: 'listing' }
  #failures = 0
  #revision = 0
  #resyncs = 0

  constructor(source: ReflectorSource, target: ReflectorTarget) {
    this.#source = source
    this.#target = target
  }

  get state(): ReflectorState {
    return this.#state
  }

  /** How often a listing had to take the place of events. */
  get resyncs(): number {
    return this.#resyncs
  }

  start(): void {
    void this.#run()
  }

  /** Lists again, although nothing is known to be missed. */
  refresh(): void {
    if (this.#state.kind === 'watching') this.#round.abort(refresh)
  }

  close(): void {
    if (this.#state.kind === 'failed') return
    this.#state = { kind: 'closed' }
    this.#closing.abort()
    this.#round.abort()
  }

  async #run(): Promise<void> {
    let gap: Gap | undefined
    while (!this.#isOver) {
      this.#round = new AbortController()
      try {
        await this.#list(gap)
        gap = undefined
        await this.#follow()
      } catch (error) {
        if (this.#isOver) return
        const found = this.#gapAfter(error)
        if (found === undefined) await this.#recover(error)
        gap = found ?? gap
      }
    }
  }

  get #isOver(): boolean {
    return this.#state.kind === 'closed' || this.#state.kind === 'failed'
  }

  async #list(gap: Gap | undefined): Promise<void> {
    this.#state = { kind: 'listing' }
    let draft = this.#target.draft()
    let revision = 0
    const onRestart = (): void => {
      draft = this.#target.draft()
    }
    for await (const page of this.#source.pages({ signal: this.#round.signal, onRestart })) {
      revision = page.revision
      for (const kv of page.kvs) draft.add(kv)
    }
    if (this.#isOver) return
    draft.finish(revision)
    this.#revision = revision
    this.#failures = 0
    if (gap !== undefined) this.#resyncs += 1
    this.#target.listed(revision, gap)
  }

  async #follow(): Promise<void> {
    if (this.#isOver) return
    const watcher = this.#source.watch({ startRevision: this.#revision + 1, signal: this.#round.signal })
    this.#state = { kind: 'watching', watcher }
    for await (const batch of watcher.batches()) {
      this.#revision = batch.revision
      this.#target.apply(batch)
    }
  }

  #gapAfter(error: unknown): Gap | undefined {
    const fromRevision = this.#revision
    if (error === refresh) return { code: 'REFRESH', fromRevision, compactRevision: undefined }
    if (!isEtcdError(error) || !gaps.has(error.code)) return undefined
    const compactRevision = error instanceof CompactedError ? error.compactRevision : undefined
    return { code: error.code, fromRevision, compactRevision }
  }

  async #recover(error: unknown): Promise<void> {
    if (isEtcdError(error) && terminal.has(error.code)) {
      this.#state = { kind: 'failed', error }
      this.#target.failed(error)
      return
    }
    this.#failures += 1
    this.#state = { kind: 'waiting', error }
    this.#target.troubled(error)
    await sleep(halfJitterMs(this.#failures, backoff), this.#closing.signal).catch(() => {})
  }
}
