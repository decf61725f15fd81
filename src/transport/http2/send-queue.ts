import { defaultMaxFrameBytes, maxUint31 } from './frame.js'
import type { FrameWriter } from './frame-writer.js'
import { flowControlError, protocolError } from './http2-error.js'
import type { Http2Stream } from './http2-stream.js'
import type { OutgoingBody } from './outgoing-body.js'
import type { PeerSettings } from './settings.js'

/** With more bytes than this that the system has not taken, requests wait in this process, and are known not to be sent. */
const maxUnsentBytes = 262_144
const initialWindowBytes = 65_535

/**
 * Sends the bodies of streams as the windows of the peer and the socket allow: one frame of each in turn, so that a large
 * message never keeps small ones waiting, as long as the peer takes anything at all.
 */
export class SendQueue {
  readonly #writer: FrameWriter
  readonly #peer: PeerSettings
  /** Bodies that may be sent as far as their own windows go, in the order of their turns. */
  readonly #ready = new Set<OutgoingBody<Http2Stream>>()
  #connectionWindow = initialWindowBytes
  #isPumping = false

  constructor(writer: FrameWriter, peer: PeerSettings) {
    this.#writer = writer
    this.#peer = peer
  }

  /** Whether the socket takes no more for the moment. */
  get isBlocked(): boolean {
    return this.#writer.unsentBytes > maxUnsentBytes
  }

  /** Takes room for `bytes` in one frame at once, where nothing else waits for it. Returns whether there was room. */
  reserve(stream: Http2Stream, bytes: number): boolean {
    if (bytes > defaultMaxFrameBytes || bytes > this.#connectionWindow || bytes > this.#peer.initialWindowBytes)
      return false
    if (this.#ready.size > 0) return false
    this.#connectionWindow -= bytes
    stream.windowDelta -= bytes
    return true
  }

  /** The stream has something to send. */
  add(stream: Http2Stream): void {
    if (stream.outgoing === undefined || stream.id === 0) return
    this.#ready.add(stream.outgoing)
    this.pump()
  }

  remove(stream: Http2Stream): void {
    if (stream.outgoing !== undefined) this.#ready.delete(stream.outgoing)
    stream.outgoing = undefined
  }

  /** The peer takes `bytes` more on all streams together. Throws an `Http2Error` if these are none or too many. */
  growConnectionWindow(bytes: number): void {
    if (bytes === 0) throw protocolError('a WINDOW_UPDATE of 0 bytes came')
    this.#connectionWindow += bytes
    if (this.#connectionWindow > maxUint31) throw flowControlError('the window of the connection became too large')
    this.pump()
  }

  /** The peer takes `bytes` more on a stream. Returns whether its window is still one that there may be. */
  growWindow(stream: Http2Stream, bytes: number): boolean {
    stream.windowDelta += bytes
    if (!this.isWindowAllowed(stream)) return false
    this.add(stream)
    return true
  }

  isWindowAllowed(stream: Http2Stream): boolean {
    return this.#windowOf(stream) <= maxUint31
  }

  /** Sends what may be sent now. */
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

  /** Returns whether there may be more to send. */
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
