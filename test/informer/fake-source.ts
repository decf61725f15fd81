import { EtcdError } from '../../src/core/errors.js'
import { encodeRange } from '../../src/core/key-range.js'
import type { KeyValue } from '../../src/core/key-value.js'
import type { InformerSource } from '../../src/informer/informer-options.js'
import type { ReflectedPage, ReflectedWatch } from '../../src/informer/reflector.js'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
import type { WatchBatch } from '../../src/watch/watch-event.js'
import { kvOf } from './fixtures.js'

/** What a listing does: return pages, or fail. */
export type Listing = readonly ReflectedPage[] | Error

/** A watch fed by the test. */
export class FakeWatch implements ReflectedWatch {
  readonly startRevision: number
  readonly signal: AbortSignal
  readonly status = {
    state: 'active',
    endpoint: 'fake',
    revision: 0,
    lag: 0,
    buffered: 0,
    reconnects: 0,
  } as const
  /** Number of progress requests. */
  asked = 0
  readonly #waiting: (WatchBatch | Error)[] = []
  #wake = (): void => {}

  constructor(startRevision: number, signal: AbortSignal) {
    this.startRevision = startRevision
    this.signal = signal
    signal.addEventListener('abort', () => this.feed(signal.reason), { once: true })
  }

  feed(item: WatchBatch | Error): void {
    this.#waiting.push(item)
    this.#wake()
  }

  async *batches(): AsyncGenerator<WatchBatch, undefined> {
    for (;;) {
      const item = this.#waiting.shift()
      if (item instanceof Error) throw item
      if (item !== undefined) yield item
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  requestProgress(): void {
    this.asked += 1
  }

  get lastMessageAt(): number {
    return performance.now()
  }

  ping(): void {}
}

/** A fake etcd for one informer: listings are prepared, watches are fed, and requests are recorded. */
export class FakeSource implements InformerSource {
  readonly cluster = new ClusterIdentity({ clusterChanged() {}, revisionRewound() {}, termRaised() {} })
  readonly owner = { range: encodeRange({ prefix: 'p' }), namespace: Buffer.alloc(0), user: undefined }
  /** The outcomes of the next listings; after the last one, listings wait until they are aborted. */
  readonly listings: Listing[] = []
  readonly signals: AbortSignal[] = []
  /** The page size that each listing requested. */
  readonly pageSizes: (number | undefined)[] = []
  /** What each listing does when its revision is compacted. */
  readonly onCompacted: (string | undefined)[] = []
  readonly watches: FakeWatch[] = []
  /** The response to linearizable reads. */
  answer: { kvs: KeyValue[]; count: number; revision: number } = { kvs: [], count: 0, revision: 0 }
  reads = 0
  /** The modes of the reads. */
  readonly modes = new Set<string>()
  /** Called in the middle of the next listing, which waits for it. */
  midway: ((options: { readonly onRestart?: (() => void) | undefined }) => void | Promise<void>) | undefined

  list: InformerSource['list'] = (_range, options) => {
    this.pageSizes.push(options.maxPageSize)
    this.onCompacted.push(options.onCompacted)
    return { pages: () => this.#pages(options) }
  }

  watch: InformerSource['watch'] = (_range, { startRevision, signal }) => {
    const watch = new FakeWatch(startRevision, signal)
    this.watches.push(watch)
    return watch
  }

  range: InformerSource['range'] = async (_range, { mode }) => {
    this.reads += 1
    this.modes.add(mode)
    return this.answer
  }

  /** Another call detects that the cluster was restored and is at this revision. */
  restored(revision: number): void {
    const before = { clusterId: 'c1', memberId: 'a1', raftTerm: 2 }
    this.cluster.observe({ ...before, revision: 1_000_000 }, 'm', 0)
    this.cluster.observe({ ...before, revision }, 'm', 1_000_000)
  }

  /** Feeds the last watch. */
  happen(batch: WatchBatch): void {
    this.watches.at(-1)?.feed(batch)
  }

  progress(revision: number): void {
    this.happen({ revision, events: [] })
  }

  fail(error: Error): void {
    this.watches.at(-1)?.feed(error)
  }

  async *#pages(options: Parameters<InformerSource['list']>[1]): AsyncGenerator<ReflectedPage> {
    const { signal } = options
    this.signals.push(signal)
    const listing = this.listings.shift()
    if (listing === undefined) {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
    } else if (listing instanceof Error) throw listing
    else {
      for (const page of listing) {
        yield page
        const { midway } = this
        this.midway = undefined
        await midway?.(options)
      }
    }
  }
}

/** One page. */
export function pageOf(
  values: Readonly<Record<string, string>>,
  revision: number,
  modRevision = revision,
): ReflectedPage {
  return { revision, kvs: Object.entries(values).map(([key, value]) => kvOf(key, value, modRevision)) }
}

/** An error as the client would give it. */
export function failure(code: EtcdError['code']): EtcdError {
  return new EtcdError(`for a test: ${code}`, { code, effect: 'none' })
}
