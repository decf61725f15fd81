import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import { KeyValue } from '../core/key-value.js'
import { sleep } from '../core/wait.js'
import { type History, otherHistory } from '../transport/connection/cluster-identity.js'
import { isTerminal } from './terminal.js'
import { type WatchBatch, WatchEvent } from './watch-event.js'
import { WatchQueue, type WatchQueueHost, type WatchQueueOptions } from './watch-queue.js'

/** Reads all keys of the watched range, page by page at one revision. `onRestart`: what was read so far is void. */
export type RangePages = (options: {
  readonly signal: AbortSignal
  readonly onRestart: () => void
}) => AsyncIterable<{ readonly kvs: readonly KeyValue[]; readonly revision: number }>

/** What a queue needs beside its host to close gaps. */
export interface ResyncSource {
  readonly pages: RangePages
  /** Aborts when the client closes: nothing is waited for any more. */
  readonly closing: AbortSignal
  /** The history that the cluster's revisions belong to now. */
  history(): History
  /** Goes on with the watch at this revision. */
  resume(queue: WatchQueue, revision: number): void
}

interface Listed {
  readonly kvs: ReadonlyMap<string, KeyValue>
  readonly revision: number
}

const backoff = { baseMs: 100, maxMs: 5000 }

/**
 * A queue that compaction does not end. Where events are gone, it lists the range and tells the difference: a put for each
 * key that was written since, a deletion for each key that it has told of and that is no longer there. Then the watch goes
 * on behind the listing.
 *
 * For that it knows the last revision of each key that was told and not deleted. Keys that were there before the watch began
 * and were never written since are unknown to it: their deletion in a gap cannot be told.
 */
export class ResyncQueue extends WatchQueue {
  readonly #source: ResyncSource
  readonly #map: WatchQueueOptions['map']
  readonly #only: WatchEvent['type'] | undefined
  readonly #closing = new AbortController()
  /** The history of all events so far. */
  readonly #history: History
  /** The last revision of each key that is there, by the key's bytes as Latin-1. */
  readonly #known = new Map<string, number>()

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
    const told = this.#map(batch)
    for (const event of told.events) this.#learn(event)
    this.push(told)
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

  /** A difference exists within one history only. */
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

  /** In the order of revisions; those of deletions are the last known ones of their keys. */
  #difference({ kvs, revision }: Listed): WatchBatch {
    const written = [...kvs.values()].filter(({ modRevision }) => modRevision >= this.next)
    const vanished = [...this.#known].filter(([id]) => !kvs.has(id))
    const deletions = vanished.map(
      ([id, modRevision]) => new WatchEvent('delete', lastKnown(id, modRevision), undefined),
    )
    const events = [...deletions, ...written.map((kv) => new WatchEvent('put', kv, undefined))]
    for (const event of events) this.#learn(event)
    const told = this.#only === undefined ? events : events.filter(({ type }) => type === this.#only)
    return { revision, events: told.sort((a, b) => a.revision - b.revision), resync: true }
  }

  #learn({ type, kv }: WatchEvent): void {
    const id = kv.key.toString('latin1')
    if (type === 'put') this.#known.set(id, kv.modRevision)
    else this.#known.delete(id)
  }
}

function lastKnown(id: string, modRevision: number): KeyValue {
  return Object.assign(new KeyValue(), { key: Buffer.from(id, 'latin1'), modRevision })
}
