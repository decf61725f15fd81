import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import { KeyValue } from '../core/key-value.js'
import { sleep } from '../core/wait.js'
import { type History, otherHistory } from '../transport/connection/cluster-identity.js'
import { isTerminal } from './terminal.js'
import { type WatchBatch, WatchEvent } from './watch-event.js'
import { WatchQueue, type WatchQueueHost, type WatchQueueOptions } from './watch-queue.js'

/** Lists the watched range page by page at one revision. `onRestart` is called when the pages so far are void. */
export type RangePages = (options: {
  readonly signal: AbortSignal
  readonly onRestart: () => void
}) => AsyncIterable<{ readonly kvs: readonly KeyValue[]; readonly revision: number }>

/** What a queue needs to resync. */
export interface ResyncSource {
  readonly pages: RangePages
  /** Aborts when the client closes; backoffs end then. */
  readonly closing: AbortSignal
  /** The history that the cluster's revisions belong to. */
  history(): History
  /** Continues the watch at this revision. */
  resume(queue: WatchQueue, revision: number): void
}

interface Listed {
  readonly kvs: ReadonlyMap<string, KeyValue>
  readonly revision: number
}

const backoff = { baseMs: 100, maxMs: 5000 }

/**
 * A queue that survives compaction. If events were compacted, it lists the range and delivers the difference: a put for
 * each key that was written since, and a deletion for each reported key that no longer exists. Then the watch continues
 * after the revision of the listing.
 *
 * For that it keeps the last revision of each reported key that was not deleted. It does not know keys that existed before
 * the watch started and were not written since, and cannot report their deletion.
 */
export class ResyncQueue extends WatchQueue {
  readonly #source: ResyncSource
  readonly #map: WatchQueueOptions['map']
  readonly #only: 'put' | undefined
  readonly #closing = new AbortController()
  /** The history that all events so far belong to. */
  readonly #history: History
  /** The last revision of each existing reported key, by the key's bytes as Latin-1. */
  readonly #reported = new Map<string, number>()

  constructor(
    host: WatchQueueHost,
    {
      source,
      only,
      ...options
    }: WatchQueueOptions & { readonly source: ResyncSource; readonly only?: 'put' | undefined },
  ) {
    super(host, options)
    this.#source = source
    this.#history = source.history()
    this.#map = options.map
    this.#only = only
  }

  override onBatch(batch: WatchBatch): void {
    const mapped = this.#map(batch)
    for (const event of mapped.events) this.#record(event)
    this.push(mapped)
  }

  override onEnd(error: unknown): void {
    if (!isEtcdError(error, 'COMPACTED')) {
      this.fail(error)
      return
    }
    this.onLost(error)
    void this.#resync()
  }

  override fail(error: unknown): void {
    this.#closing.abort()
    super.fail(error)
  }

  override close(): void {
    this.#closing.abort()
    super.close()
  }

  async #resync(): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        const listed = await this.#list()
        if (signal.aborted) return
        this.#assertSameHistory()
        this.push(this.#difference(listed))
        this.#source.resume(this, listed.revision + 1)
        return
      } catch (error) {
        if (signal.aborted) return
        if (isTerminal(error) || this.#isOtherHistory) {
          this.fail(error)
          return
        }
        await sleep(halfJitterMs(failures, backoff), signal, this.#source.closing).catch(() => {})
      }
    }
  }

  get #isOtherHistory(): boolean {
    return this.#source.history() !== this.#history
  }

  /** Revisions of different histories cannot be compared. */
  #assertSameHistory(): void {
    if (this.#isOtherHistory) throw otherHistory(this.#source.history())
  }

  async #list(): Promise<Listed> {
    const kvs = new Map<string, KeyValue>()
    let revision = 0
    const options = { signal: this.#closing.signal, onRestart: () => kvs.clear() }
    for await (const page of this.#source.pages(options)) {
      revision = page.revision
      for (const kv of page.kvs) kvs.set(kv.key.toString('latin1'), kv)
    }
    return { kvs, revision }
  }

  /** Ordered by revision. The revision of a deletion is the last known one of its key. */
  #difference({ kvs, revision }: Listed): WatchBatch {
    const written = [...kvs.values()].filter(({ modRevision }) => modRevision >= this.next)
    const vanished = [...this.#reported].filter(([id]) => !kvs.has(id))
    const deletions = vanished.map(
      ([id, modRevision]) => new WatchEvent('delete', lastKnown(id, modRevision), undefined),
    )
    const events = [...deletions, ...written.map((kv) => new WatchEvent('put', kv, undefined))]
    for (const event of events) this.#record(event)
    return { revision, events: events.sort((a, b) => a.revision - b.revision), resync: true }
  }

  #record({ type, kv }: WatchEvent): void {
    // Without deletions, keys would be kept for good, and none of them is reported as deleted.
    if (this.#only === 'put') return
    const id = kv.key.toString('latin1')
    if (type === 'put') this.#reported.set(id, kv.modRevision)
    else this.#reported.delete(id)
  }
}

function lastKnown(id: string, modRevision: number): KeyValue {
  return Object.assign(new KeyValue(), { key: Buffer.from(id, 'latin1'), modRevision })
}
