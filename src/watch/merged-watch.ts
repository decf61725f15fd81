import type { EncodedRange } from '../core/key-range.js'
import { coveringRange, hasKey } from './range-union.js'
import type { WatchSpec } from './server-watch.js'
import type { WatchBatch } from './watch-event.js'
import type { WatchMultiplexer, WatchSubscriber } from './watch-multiplexer.js'
import { bufferBytesLimit, bytesOf, type WatchQueue } from './watch-queue.js'

/** What a merged watch works with. */
export interface MergedWatchInit {
  readonly multiplexer: WatchMultiplexer
  /** Buffers the merged batches for the consumer. */
  readonly queue: WatchQueue
  /** The ranges, without a key in common and in key order. */
  readonly ranges: readonly EncodedRange[]
  readonly spec: Pick<WatchSpec, 'prevKv' | 'filters'>
  readonly maxBufferedEvents: number
}

/** How long a progress request is awaited before the next one: a member that has not caught up never answers. */
const requestAgainMs = 100
/**
 * A member, or a proxy, that has the watchers, sends other messages and leaves this many requests in a row unanswered does not
 * support them. A frozen member sends nothing.
 */
const maxUnanswered = 30

/**
 * One watch of several ranges. Each range has a watcher on the server; together they deliver a revision when all of them have
 * passed it. Watchers report that by their events, and a watcher without events by a progress notification, which is requested
 * while events of other ranges wait for it.
 *
 * Members whose progress notifications are not reliable, and proxies, cannot serve that. There one watcher takes the place of all:
 * from the first key of the ranges to the last one, with the events between the ranges left out here.
 */
export class MergedWatch {
  readonly #init: MergedWatchInit
  #parts: Part[]
  /** Events up to this revision are not delivered: before the last of the watchers was created, or already released. */
  #released = 0
  #hasStarted = false
  #timer: NodeJS.Timeout | undefined
  #unanswered = 0
  #isEnded = false

  constructor(init: MergedWatchInit) {
    this.#init = init
    this.#parts = init.ranges.map((range) => this.#part(range))
  }

  /** The watchers as subscribers of the multiplexer. */
  get parts(): readonly WatchSubscriber[] {
    return this.#parts
  }

  /** Creates the watchers, from revision `start` on or from now on. */
  start(start: number | undefined): void {
    if (start !== undefined) {
      this.#init.queue.join(start)
      this.#released = start - 1
      this.#hasStarted = true
    }
    for (const part of this.#parts) this.#init.multiplexer.subscribe(part.spec, start, part)
  }

  /** The consumer has made room. */
  drained(): void {
    this.#release()
  }

  requestProgress(): void {
    this.#init.multiplexer.requestProgress(...this.#parts)
  }

  /** Ends the watchers. */
  end(): void {
    this.#isEnded = true
    clearTimeout(this.#timer)
    for (const part of this.#parts) this.#init.multiplexer.unsubscribe(part)
  }

  #part(range: EncodedRange, takes?: (key: Buffer) => boolean): Part {
    const { spec, maxBufferedEvents, queue } = this.#init
    return new Part({
      spec: { ...spec, ...range },
      takes,
      maxBufferedEvents,
      created: (endpoint) => this.#created(endpoint),
      advanced: () => this.#release(),
      lost: (error) => {
        // Nothing is known of the next member, and requests that this one did not answer went down with the stream.
        this.#unanswered = 0
        queue.onLost(error)
      },
      ended: (error) => this.#ended(error),
    })
  }

  #created(endpoint: string): void {
    if (!this.#parts.every((part) => part.isCreated)) return
    if (!this.#hasStarted) this.#startTogether()
    this.#init.queue.onCreated(this.#released, endpoint)
    this.#release()
  }

  /** Watchers from now on may start at different revisions, and may have received events before the last one was created. */
  #startTogether(): void {
    this.#hasStarted = true
    this.#released = Math.max(...this.#parts.map(({ passed }) => passed))
    for (const part of this.#parts) {
      part.takeUpTo(this.#released)
      this.#resume(part)
    }
  }

  #ended(error: unknown): void {
    this.end()
    this.#init.queue.fail(error)
  }

  /** Delivers the revisions that all watchers have passed, unless the consumer has to make room first. */
  #release(): void {
    if (!this.#hasStarted || this.#isEnded || this.#init.queue.isFull) return
    const passed = Math.min(...this.#parts.map((part) => part.passed))
    if (passed > this.#released) {
      this.#unanswered = 0
      const { queue } = this.#init
      const batches = this.#parts.flatMap((part) => part.takeUpTo(passed))
      this.#released = passed
      for (const batch of joined(batches)) queue.onBatch(batch)
      if (queue.next <= passed) queue.onProgress(passed)
      for (const part of this.#parts) this.#resume(part)
    }
    this.#awaitOthers()
  }

  #resume(part: Part): void {
    if (!part.wasFull || part.isFull) return
    part.wasFull = false
    this.#init.multiplexer.drained(part)
  }

  /** Events wait for watchers that have none: the member is asked how far these are. */
  #awaitOthers(): void {
    const last = Math.max(...this.#parts.map((part) => part.lastBuffered))
    if (last <= this.#released || this.#isEnded || this.#init.queue.isFull) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      return
    }
    if (this.#timer !== undefined) return
    const behind = this.#parts.filter(({ passed }) => passed < last)
    const { multiplexer } = this.#init
    if (this.#unanswered >= maxUnanswered || behind.some((part) => multiplexer.lacksProgress(part))) {
      this.#cover()
      return
    }
    const requestedAt = performance.now()
    multiplexer.requestProgress(...behind)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (behind.every((part) => this.#isAlive(part, requestedAt))) this.#unanswered += 1
      // The response shows whether the member is alive at the next request.
      for (const part of behind) multiplexer.ping(part)
      this.#awaitOthers()
    }, requestAgainMs).unref()
  }

  /** Whether a member has the watcher and has sent a message since. */
  #isAlive(part: Part, since: number): boolean {
    const { multiplexer } = this.#init
    return multiplexer.isOnMember(part) && multiplexer.lastMessageAt(part) > since
  }

  /** One watcher takes the place of all. What they have not delivered arrives there again. */
  #cover(): void {
    const { multiplexer, ranges } = this.#init
    const parts = this.#parts
    const cover = this.#part(coveringRange(ranges), (key) => hasKey(ranges, key))
    this.#parts = [cover]
    multiplexer.subscribe(cover.spec, this.#released + 1, cover)
    // Only now, so that the stream stays.
    for (const part of parts) multiplexer.unsubscribe(part)
  }
}

interface PartInit {
  readonly spec: WatchSpec
  /** Whether the watch has this key. Default: every key. */
  readonly takes: ((key: Buffer) => boolean) | undefined
  readonly maxBufferedEvents: number
  created(endpoint: string): void
  advanced(): void
  lost(error: unknown): void
  ended(error: unknown): void
}

/** One of the watchers, with the batches that wait for the others. */
class Part implements WatchSubscriber {
  readonly spec: WatchSpec
  readonly #init: PartInit
  #batches: WatchBatch[] = []
  #events = 0
  #bytes = 0
  /** The revision to resume at; 0 until a watcher from now on was created. */
  next = 0
  isCreated = false
  wasFull = false

  constructor(init: PartInit) {
    this.spec = init.spec
    this.#init = init
  }

  /** All events up to this revision have arrived. */
  get passed(): number {
    return Math.max(0, this.next - 1)
  }

  get isFull(): boolean {
    return this.#events >= this.#init.maxBufferedEvents || this.#bytes >= bufferBytesLimit
  }

  /** The revision of the last batch that waits; 0 for none. */
  get lastBuffered(): number {
    return this.#batches.at(-1)?.revision ?? 0
  }

  /** Removes the batches up to this revision. */
  takeUpTo(revision: number): WatchBatch[] {
    const taken = this.#batches.filter((batch) => batch.revision <= revision)
    this.#batches = this.#batches.slice(taken.length)
    for (const batch of taken) this.#count(batch, -1)
    return taken
  }

  join(next: number): void {
    this.next = next
  }

  onCreated(revision: number, endpoint: string): void {
    if (this.next === 0) this.next = revision + 1
    this.isCreated = true
    this.#init.created(endpoint)
  }

  onBatch(batch: WatchBatch): void {
    const { takes } = this.#init
    const events = takes === undefined ? batch.events : batch.events.filter(({ kv }) => takes(kv.key))
    if (events.length > 0) this.#hold({ ...batch, events })
    this.#moveTo(batch.revision)
    if (this.isFull) this.wasFull = true
  }

  onProgress(revision: number): void {
    this.#moveTo(revision)
  }

  onLost(error: unknown): void {
    this.isCreated = false
    this.#init.lost(error)
  }

  onEnd(error: unknown): void {
    this.#init.ended(error)
  }

  #hold(batch: WatchBatch): void {
    this.#batches.push(batch)
    this.#count(batch, 1)
  }

  #count(batch: WatchBatch, sign: 1 | -1): void {
    this.#events += sign * batch.events.length
    this.#bytes += sign * bytesOf(batch)
  }

  #moveTo(revision: number): void {
    this.next = revision + 1
    this.#init.advanced()
  }
}

/** One batch for each revision, in order. */
function joined(batches: readonly WatchBatch[]): WatchBatch[] {
  const byRevision = new Map<number, WatchBatch>()
  for (const batch of batches) {
    const other = byRevision.get(batch.revision)
    byRevision.set(
      batch.revision,
      other === undefined ? batch : { ...batch, events: [...other.events, ...batch.events] },
    )
  }
  return [...byRevision.values()].sort((a, b) => a.revision - b.revision)
}
