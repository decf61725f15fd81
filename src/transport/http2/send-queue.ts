import { defaultMaxFrameBytes, maxUint31 } from './frame.js'
import type { FrameWriter } from './frame-writer.js'
import { flowControlError, protocolError } from './http2-error.js'
import type { Http2Stream } from './http2-stream.js'
import type { OutgoingBody } from './outgoing-body.js'
import type { PeerSettings } from './settings.js'

/** With more unsent bytes than this, requests wait in this process, so that it is known that they were not sent. */
const maxUnsentBytes = 262_144
const initialWindowBytes = 65_535

/**
 * Sends the bodies of streams as the peer's windows and the socket allow, one frame of each stream in turn, so that a large
 * message does not delay small ones.
 */
export class SendQueue {
  readonly #writer: FrameWriter
  readonly #peer: PeerSettings
  /** Bodies whose stream window is open, in the order of their turns. */
  readonly #ready = new Set<OutgoingBody<Http2Stream>>()
  #connectionWindow = initialWindowBytes
  #isPumping = false

  constructor(writer: FrameWriter, peer: PeerSettings) {
    this.#writer = writer
    this.#peer = peer
  }

  /** Whether too many bytes wait for the socket. */
  get isBlocked(): boolean {
    return this.#writer.unsentBytes > maxUnsentBytes
  }

  /** Reserves window for a body of `bytes` in one frame, if it fits and no other body waits. Returns whether it does. */
  reserve(stream: Http2Stream, bytes: number): boolean {
    if (bytes > defaultMaxFrameBytes || bytes > this.#connectionWindow || bytes > this.#peer.initialWindowBytes)
      return false
    if (this.#ready.size > 0) return false
    this.#connectionWindow -= bytes
    stream.windowDelta -= bytes
    return true
  }

  /** The stream has a message or its end to send. */
  add(stream: Http2Stream): void {
    if (stream.outgoing === undefined || stream.id === 0) return
    this.#ready.add(stream.outgoing)
    this.pump()
  }

  remove(stream: Http2Stream): void {
    if (stream.outgoing !== undefined) this.#ready.delete(stream.outgoing)
    stream.outgoing = undefined
  }

  /** Grows the window of the connection. Throws an `Http2Error` if `bytes` are 0 or the window overflows. */
  growConnectionWindow(bytes: number): void {
    if (bytes === 0) throw protocolError('a WINDOW_UPDATE has an increment of 0')
    this.#connectionWindow += bytes
    if (this.#connectionWindow > maxUint31) throw flowControlError('the window of the connection overflows')
    this.pump()
  }

  /** Grows the window of a stream. Returns `false` if it overflows. */
  growWindow(stream: Http2Stream, bytes: number): boolean {
    stream.windowDelta += bytes
    if (!this.isWindowAllowed(stream)) return false
    this.add(stream)
    return true
  }

  isWindowAllowed(stream: Http2Stream): boolean {
    return this.#windowOf(stream) <= maxUint31
  }

  /** Sends what the windows and the socket allow now. */
  pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    for (const body of this.#ready) {
      if (this.isBlocked || (this.#connectionWindow <= 0 && !body.isEmpty)) break
      this.#ready.delete(body)
      if (this.#sendFrame(body)) this.#ready.add(body)
    }
    this.#isPumping = false
  }

  #windowOf(stream: Http2Stream): number {
    return this.#peer.initialWindowBytes + stream.windowDelta
  }

  /** Returns whether the body may have more to send now. */
  #sendFrame(body: OutgoingBody<Http2Stream>): boolean {
    const { stream } = body
    const room = Math.min(this.#windowOf(stream), this.#connectionWindow, defaultMaxFrameBytes)
    if (room <= 0 && !body.isEmpty) return false
    const { prefix, bytes, onSent } = body.take(room)
    const isEnd = body.isEmpty && body.isEnding
    const length = prefix.length + bytes.length
    if (length > 0 || isEnd) this.#writer.data(stream.id, isEnd, prefix, bytes)
    this.#connectionWindow -= length
    stream.windowDelta -= length
    if (isEnd) {
      stream.hasSentEnd = true
      stream.outgoing = undefined
    }
    onSent?.()
    return !isEnd && !body.isEmpty
  }
}
