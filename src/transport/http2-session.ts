import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { ChannelSettings } from './channel-settings.js'
import type { DeadlineClock } from './deadline-clock.js'
import { statusCodes } from './grpc-protocol.js'
import { type CallOwner, Http2Call } from './http2-call.js'
import { Keepalive } from './http2-keepalive.js'
import type { CallStatus, LaneCall, UnaryListener } from './unary-lane.js'

/** Who opened a session. */
export interface SessionListener {
  /** The member has shown that it speaks HTTP/2: calls may be made. */
  onConnected(session: Http2Session): void
  /** It takes no new calls; those under way go on. Told at most once, and not after `onLost`. */
  onLeaving(session: Http2Session): void
  /** It is over, for `reason` where that is known. */
  onLost(session: Http2Session, reason: Error | undefined): void
}

/** A call that waits for its turn, or is about to be sent. */
interface Pending {
  readonly call: Http2Call
  readonly headers: OutgoingHttpHeaders
  readonly framed: Buffer
}

/** One session of HTTP/2 and the calls on it. Those beyond the number that the member allows wait for their turn. */
export class Http2Session implements CallOwner {
  readonly #session: ClientHttp2Session
  readonly #listener: SessionListener
  readonly #deadlines: DeadlineClock
  readonly #keepalive: Keepalive
  readonly #waiting: Pending[] = []
  /** Streams that are there, and how many of them the member allows. */
  #streams = 0
  #mostStreams = 0
  /** Calls that somebody waits for; they hold the process open. */
  #wanted = 0
  #lastStreamId = Number.POSITIVE_INFINITY
  #isLeaving = false
  #error: Error | undefined

  constructor(
    session: ClientHttp2Session,
    settings: ChannelSettings,
    deadlines: DeadlineClock,
    listener: SessionListener,
  ) {
    this.#session = session
    this.#deadlines = deadlines
    this.#listener = listener
    this.#keepalive = new Keepalive(session, settings, () => this.#wanted > 0)
    session.on('remoteSettings', ({ maxConcurrentStreams }) => this.#onSettings(maxConcurrentStreams))
    session.on('goaway', (_, lastStreamId) => this.#onGoaway(lastStreamId))
    session.on('error', (error) => {
      this.#error ??= error
    })
    session.on('close', () => this.#onClose())
    session.once('connect', (_, socket) => this.#checkProtocol(socket as TLSSocket))
  }

  /** Makes a call now, or as soon as the member allows one more. */
  start(headers: OutgoingHttpHeaders, framed: Buffer, deadlineAt: number, listener: UnaryListener): LaneCall {
    const call = new Http2Call(this, deadlineAt, listener)
    this.#deadlines.add(call)
    this.#wanted += 1
    if (this.#wanted === 1) this.#session.ref()
    this.#keepalive.expect()
    const pending = { call, headers, framed }
    if (this.#streams < this.#mostStreams && this.#waiting.length === 0) this.#send(pending)
    else this.#waiting.push(pending)
    return call
  }

  /** Ends it now, with every call on it. */
  close(): void {
    this.#session.destroy()
  }

  heard(): void {
    this.#keepalive.heard()
  }

  ended(call: Http2Call): void {
    this.#deadlines.delete(call)
    this.#wanted -= 1
    if (this.#wanted === 0 && !this.#session.destroyed) this.#session.unref()
  }

  released(): void {
    this.#streams -= 1
    this.#sendWaiting()
  }

  statusOfLoss(streamId: number | undefined): CallStatus | undefined {
    if (streamId !== undefined && streamId > this.#lastStreamId) {
      return { code: statusCodes.unavailable, details: 'Stream refused by server', sent: false }
    }
    if (!this.#session.destroyed) return undefined
    return { code: statusCodes.unavailable, details: this.#error?.message ?? 'Connection dropped' }
  }

  #onSettings(maxConcurrentStreams: number | undefined): void {
    const isFirst = this.#mostStreams === 0
    this.#mostStreams = maxConcurrentStreams ?? Number.POSITIVE_INFINITY
    if (isFirst) this.#listener.onConnected(this)
    this.#sendWaiting()
  }

  #onGoaway(lastStreamId: number): void {
    this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId)
    if (this.#isLeaving) return
    this.#isLeaving = true
    this.#listener.onLeaving(this)
    this.#refuseWaiting()
  }

  #onClose(): void {
    this.#keepalive.stop()
    this.#refuseWaiting()
    this.#listener.onLost(this, this.#error)
  }

  /** Without ALPN the other side may take the bytes for anything. */
  #checkProtocol({
    encrypted,
    alpnProtocol,
  }: Pick<TLSSocket, 'alpnProtocol'> & { readonly encrypted?: boolean }): void {
    if (encrypted !== true || alpnProtocol === 'h2') return
    this.#session.destroy(new Error('TLS: the other side does not offer HTTP/2 (ALPN h2)'))
  }

  #sendWaiting(): void {
    while (this.#streams < this.#mostStreams && !this.#isLeaving) {
      const pending = this.#waiting.shift()
      if (pending === undefined) return
      if (pending.call.isWanted) this.#send(pending)
    }
  }

  #send({ call, headers, framed }: Pending): void {
    try {
      call.send(this.#session, headers, framed)
      this.#streams += 1
    } catch (error) {
      call.fail(notStarted(error))
    }
  }

  #refuseWaiting(): void {
    for (const { call } of this.#waiting.splice(0)) call.fail(notStarted('the connection was lost'))
  }
}

function notStarted(why: unknown): CallStatus {
  return { code: statusCodes.unavailable, details: `Failed to start HTTP/2 stream: ${String(why)}`, sent: false }
}
