import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'
import { TLSSocket } from 'node:tls'
import type { ChannelSettings } from './channel-settings.js'
import type { DeadlineClock } from './deadline-clock.js'
import { statusCodes } from './grpc-protocol.js'
import { plainReason } from './grpc-status.js'
import { type CallOwner, Http2Call } from './http2-call.js'
import type { Dialed } from './http2-dial.js'
import { Keepalive } from './http2-keepalive.js'
import type { SingleConnection, SingleConnectionListener } from './reconnector.js'
import type { CallStatus, LaneCall, UnaryListener } from './unary-lane.js'

/** IDs of streams, of which each call takes two, end at 2 ** 31; Node tells of that end by streams that fail, one by one. */
const lastUsefulStreamId = 2 ** 31 - 2 ** 20

/** A call that waits for its turn. */
interface Pending {
  readonly call: Http2Call
  readonly headers: OutgoingHttpHeaders
  readonly framed: Buffer
}

/** One session of HTTP/2 and the calls on it. Those beyond the number that the member allows wait for their turn. */
export class Http2Session implements CallOwner, SingleConnection {
  readonly #session: ClientHttp2Session
  readonly #socket: Dialed['socket']
  readonly #listener: SingleConnectionListener<Http2Session>
  readonly #deadlines: DeadlineClock
  readonly #keepalive: Keepalive
  readonly #waiting: Pending[] = []
  #state: 'connecting' | 'connected' | 'leaving' | 'lost' = 'connecting'
  /** Streams that are there, and how many of them the member allows. */
  #streams = 0
  #maxStreams = 0
  /** Calls that somebody waits for. */
  #wanted = 0
  #lastStreamId = Number.POSITIVE_INFINITY
  #error: Error | undefined

  constructor(
    { session, socket }: Dialed,
    settings: ChannelSettings,
    deadlines: DeadlineClock,
    listener: SingleConnectionListener<Http2Session>,
  ) {
    this.#session = session
    this.#socket = socket
    this.#deadlines = deadlines
    this.#listener = listener
    this.#keepalive = new Keepalive(settings, {
      isBusy: () => this.#wanted > 0,
      ping: (answered) => !session.destroyed && session.ping(answered),
      giveUp: (error) => this.#lose(error),
    })
    session.once('connect', () => this.#checkProtocol())
    session.on('remoteSettings', ({ maxConcurrentStreams }) => this.#onSettings(maxConcurrentStreams))
    session.on('goaway', (_, lastStreamId) => this.#onGoaway(lastStreamId))
    session.on('error', (error) => this.#lose(error))
    session.on('close', () => this.#lose(undefined))
    // Node waits for the last bytes to be written before it tells that a session is over, which may be never.
    socket.on('error', (error) => this.#lose(error))
    socket.on('close', () => this.#lose(undefined))
  }

  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  /** How many streams the member allows. */
  get maxStreams(): number {
    return this.#maxStreams
  }

  /** Makes a call now, or as soon as the member allows one more. */
  start(headers: OutgoingHttpHeaders, framed: Buffer, deadlineAt: number, listener: UnaryListener): LaneCall {
    const call = new Http2Call(this, deadlineAt, listener)
    this.#deadlines.add(call)
    this.#wanted += 1
    this.#keepalive.expect()
    if (this.#streams < this.#maxStreams && this.#waiting.length === 0) this.#send(call, headers, framed)
    else this.#waiting.push({ call, headers, framed })
    return call
  }

  leave(): void {
    this.#leave('another connection has taken its place')
    if (this.#streams === 0) this.#lose(undefined)
  }

  /** Ends it now, with every call on it. */
  close(): void {
    this.#lose(undefined)
  }

  heard(): void {
    this.#keepalive.heard()
  }

  ended(call: Http2Call): void {
    this.#deadlines.delete(call)
    this.#wanted -= 1
  }

  released(): void {
    this.#streams -= 1
    if (this.#state === 'leaving' && this.#streams === 0) this.#lose(undefined)
    else if (this.#waiting.length > 0) this.#sendWaiting()
  }

  statusOfLoss(streamId: number | undefined): CallStatus | undefined {
    if (streamId !== undefined && streamId > this.#lastStreamId) {
      return { code: statusCodes.unavailable, details: 'Stream refused by server', sent: false }
    }
    if (this.#state !== 'lost' && !this.#session.destroyed) return undefined
    return { code: statusCodes.unavailable, details: this.#error?.message ?? 'Connection dropped' }
  }

  #onSettings(maxConcurrentStreams: number | undefined): void {
    this.#maxStreams = maxConcurrentStreams ?? Number.POSITIVE_INFINITY
    if (this.#state === 'connecting') {
      this.#state = 'connected'
      this.#listener.onConnected(this)
    }
    this.#sendWaiting()
  }

  /** A member that shuts down in order tells of it with the highest ID there is, and later with the last that it took up. */
  #onGoaway(lastStreamId: number): void {
    this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId)
    this.#leave('the member takes no new calls')
  }

  /** Takes no new calls. */
  #leave(why: string): void {
    if (this.#state !== 'connecting' && this.#state !== 'connected') return
    this.#state = 'leaving'
    this.#listener.onLeaving(this)
    this.#refuseWaiting(why)
  }

  /** Without ALPN the other side may take the bytes for anything. */
  #checkProtocol(): void {
    if (!(this.#socket instanceof TLSSocket) || this.#socket.alpnProtocol === 'h2') return
    this.#lose(new Error('TLS: the other side does not offer HTTP/2 (ALPN h2)'))
  }

  #lose(error: Error | undefined): void {
    if (this.#state === 'lost') return
    this.#state = 'lost'
    this.#error = error
    this.#keepalive.stop()
    this.#session.destroy(error)
    this.#socket.destroy()
    this.#listener.onLost(this, reasonOf(error))
    this.#refuseWaiting('the connection was lost')
  }

  #sendWaiting(): void {
    while (this.#streams < this.#maxStreams && this.#state === 'connected') {
      const pending = this.#waiting.shift()
      if (pending === undefined) return
      if (pending.call.isWanted) this.#send(pending.call, pending.headers, pending.framed)
    }
  }

  #send(call: Http2Call, headers: OutgoingHttpHeaders, framed: Buffer): void {
    try {
      const streamId = call.send(this.#session, headers, framed)
      this.#streams += 1
      if (streamId > lastUsefulStreamId) this.#leave('the connection has no more numbers for calls')
    } catch (error) {
      call.fail(notStarted(String(error)))
      // It has ended without a word, as after bytes that make no sense.
      if (this.#session.closed) this.#lose(undefined)
    }
  }

  #refuseWaiting(why: string): void {
    for (const { call } of this.#waiting.splice(0)) call.fail(notStarted(why))
  }
}

function notStarted(why: string): CallStatus {
  return { code: statusCodes.unavailable, details: `Failed to start HTTP/2 stream: ${why}`, sent: false }
}

/** Why no connection came about. */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return plainReason('Failed to connect')
  // What all addresses of a name have in common is an error without a text of its own.
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
  return errors.map((one) => plainReason(one instanceof Error ? one.message : String(one))).join('; ')
}
