import type { Socket } from 'node:net'
import { resetSocket } from './reset-socket.js'

/** `up` is from the client to the server, `down` the way back. */
export type ProxyDirection = 'up' | 'down'

/** The faults of one direction that apply to bytes under way; shared by all connections of a proxy. */
export interface FlowFaults {
  /** While true nothing is delivered, neither bytes nor the end of the connection. */
  held: boolean
  /** While true arriving bytes are thrown away. */
  lost: boolean
  delayMs: number
  /** Bytes per second and connection; Infinity is no limit. */
  bytesPerSecond: number
}

/** Faults that do nothing. */
export function noFaults(): FlowFaults {
  return { held: false, lost: false, delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
}

type Item =
  | { readonly kind: 'bytes'; readonly bytes: Buffer; readonly dueAt: number }
  | { readonly kind: 'end' | 'reset'; readonly dueAt: number }
  | { readonly kind: 'cut'; readonly cut: () => void; readonly dueAt: number }

// About what the kernel would buffer for a receiver that has stopped reading.
const maxQueuedBytes = 1 << 20

/**
 * One direction of a proxied connection: an ordered queue of bytes and the final FIN, RST or cut between two sockets.
 * The head of the queue leaves when no fault holds it back; the source is read no further while the queue is full.
 */
export class ProxyFlow {
  /** Set when bytes were thrown away, so that the stream can no longer be made whole. */
  damaged = false
  readonly #source: Socket
  readonly #sink: Socket
  readonly #faults: FlowFaults
  readonly #onDelivered: (byteCount: number) => void
  readonly #queue: Item[] = []
  #queuedBytes = 0
  #timer: NodeJS.Timeout | undefined
  /** The throttle lets the next byte pass at this time. */
  #freeAt = 0
  #sinkEnded = false
  /** Nothing that the source still sends goes on: a cut is queued. */
  #sealed = false

  constructor(source: Socket, sink: Socket, faults: FlowFaults, onDelivered: (byteCount: number) => void) {
    this.#source = source
    this.#sink = sink
    this.#faults = faults
    this.#onDelivered = onDelivered
    sink.on('drain', () => this.pump())
  }

  /** True once nothing more is taken from the source. */
  get sealed(): boolean {
    return this.#sealed
  }

  /** Takes bytes from the source. */
  push(bytes: Buffer): void {
    this.#take({ kind: 'bytes', bytes, dueAt: this.#dueAt() })
    if (this.#queuedBytes > maxQueuedBytes) this.#source.pause()
  }

  /** Takes the end of the source: a FIN or a reset. It is delivered after the bytes before it. */
  finish(kind: 'end' | 'reset'): void {
    this.#take({ kind, dueAt: this.#dueAt() })
  }

  /** Takes the last bytes; nothing after them is taken. Calls `cut` when they have left for the sink. */
  finishWith(bytes: Buffer, cut: () => void): void {
    if (bytes.length > 0) this.push(bytes)
    this.#take({ kind: 'cut', cut, dueAt: this.#dueAt() })
    this.#sealed = true
  }

  /** Sends FIN to the sink now and drops whatever would follow. */
  endSink(): void {
    this.damaged = true
    this.#sinkEnded = true
    this.#sink.end()
  }

  /** Delivers what the faults allow; called again whenever they change. */
  pump(): void {
    clearTimeout(this.#timer)
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      if (this.#faults.held || this.#sink.writableNeedDrain) return
      const waitMs = Math.max(this.#faults.delayMs > 0 ? head.dueAt : 0, this.#freeAt) - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs)).unref()
        return
      }
      this.#queue.shift()
      this.#deliver(head)
    }
    if (this.#source.isPaused() && this.#queuedBytes <= maxQueuedBytes) this.#source.resume()
  }

  /** Forgets everything queued. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#queue.length = 0
  }

  #take(item: Item): void {
    if (this.#sealed) return
    if (this.#faults.lost) {
      this.damaged = true
      return
    }
    this.#queue.push(item)
    if (item.kind === 'bytes') this.#queuedBytes += item.bytes.length
    this.pump()
  }

  #dueAt(): number {
    return performance.now() + this.#faults.delayMs
  }

  #deliver(item: Item): void {
    if (item.kind === 'bytes') this.#deliverBytes(item.bytes, item.dueAt)
    else if (item.kind === 'cut') this.#deliverCut(item.cut)
    else if (this.#sinkEnded || this.#sink.destroyed) return
    else if (item.kind === 'end') this.#sink.end()
    else resetSocket(this.#sink)
  }

  #deliverBytes(bytes: Buffer, dueAt: number): void {
    const slice = bytes.subarray(0, this.#allowance())
    if (slice.length < bytes.length) this.#queue.unshift({ kind: 'bytes', bytes: bytes.subarray(slice.length), dueAt })
    this.#queuedBytes -= slice.length
    this.#freeAt = performance.now() + (slice.length / this.#faults.bytesPerSecond) * 1000
    if (this.#sinkEnded || this.#sink.destroyed) return
    this.#sink.write(slice)
    this.#onDelivered(slice.length)
  }

  #deliverCut(cut: () => void): void {
    // A reset drops what the socket has not sent yet: an empty write ends after those before it.
    if (this.#sink.writable) this.#sink.write('', cut)
    else cut()
  }

  /** How many bytes may leave at once under the throttle: what fits into 10 ms, at least one. */
  #allowance(): number {
    return Math.max(1, Math.floor(this.#faults.bytesPerSecond / 100))
  }
}
