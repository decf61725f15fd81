import { maxUint31 } from './frame.js'
import type { Http2Stream } from './http2-stream.js'

/** The streams of a connection: the open ones, and those that wait to be opened. */
export class Streams {
  readonly #open = new Map<number, Http2Stream>()
  readonly #waiting = new Set<Http2Stream>()
  readonly #lastId: number
  #nextId = 1
  /** The last stream that the peer has processed or will process. */
  #lastProcessedId = Number.POSITIVE_INFINITY

  /** `lastId` is the highest stream ID that is used. */
  constructor(lastId = maxUint31) {
    this.#lastId = lastId
  }

  get openCount(): number {
    return this.#open.size
  }

  get count(): number {
    return this.#open.size + this.#waiting.size
  }

  /** Whether there is an ID for another stream. */
  get hasNextId(): boolean {
    return this.#nextId <= this.#lastId
  }

  get waiting(): ReadonlySet<Http2Stream> {
    return this.#waiting
  }

  wait(stream: Http2Stream): void {
    this.#waiting.add(stream)
  }

  /** Assigns the next ID to a stream. */
  open(stream: Http2Stream): void {
    this.#waiting.delete(stream)
    stream.id = this.#nextId
    this.#nextId += 2
    this.#open.set(stream.id, stream)
  }

  get(id: number): Http2Stream | undefined {
    return this.#open.get(id)
  }

  /** Whether a stream with this ID was never opened. */
  isIdle(id: number): boolean {
    return id >= this.#nextId || id % 2 === 0
  }

  delete(stream: Http2Stream): void {
    if (stream.id === 0) this.#waiting.delete(stream)
    else this.#open.delete(stream.id)
  }

  /** The peer processes no stream after `id`. Returns the open streams that it refuses. */
  refuseAfter(id: number): Http2Stream[] {
    this.#lastProcessedId = Math.min(this.#lastProcessedId, id)
    return [...this.#open.values()].filter((stream) => stream.id > this.#lastProcessedId)
  }

  openStreams(): Http2Stream[] {
    return [...this.#open.values()]
  }

  waitingStreams(): Http2Stream[] {
    return [...this.#waiting]
  }
}
