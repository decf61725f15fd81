import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { CallStatus } from '../channel.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { DeadlineClock } from '../deadline-clock.js'
import { plainReason } from '../grpc-status.js'
import type { SingleConnection, SingleConnectionListener } from '../reconnector.js'
import { handshakeError } from '../tls-options.js'
import { frameTypes, preface } from './frame.js'
import { FrameReader } from './frame-reader.js'
import { type ControlListener, FrameRouter } from './frame-router.js'
import { FrameWriter } from './frame-writer.js'
import { messagePrefixBytes, statusCodes } from './grpc-protocol.js'
import type { HeaderField } from './hpack/header-field.js'
import { errorCodes, errorName, Http2Error } from './http2-error.js'
import type { Http2Stream, StreamHost } from './http2-stream.js'
import { Keepalive } from './keepalive.js'
import { firstBytesKept, mayBeHttp2, notHttp2 } from './not-http2.js'
import { OutgoingBody } from './outgoing-body.js'
import { RequestHeaders, type RequestInit } from './request-headers.js'
import { SendQueue } from './send-queue.js'
import { connectionWindowBytes, ownSettings, PeerSettings } from './settings.js'
import { Streams } from './streams.js'

/** What a connection is created with. */
export interface ConnectionInit {
  /** Starts to connect. `onBytes` receives what is read: the first `length` bytes of `chunk`, which are valid during the call only. */
  readonly dial: (onBytes: (chunk: Buffer, length: number) => void) => Socket
  readonly headers: readonly HeaderField[]
  readonly settings: ChannelSettings
  readonly deadlines: DeadlineClock
  /** The highest stream ID that is used. @default 2 ** 31 - 1 */
  readonly lastStreamId?: number | undefined
}

/** The initial window of a connection: RFC 9113, section 6.9.2. */
const initialWindowBytes = 65_535

/**
 * One HTTP/2 connection, and the streams on it.
 *
 *     connecting → open → draining → lost
 *
 * It is `open` once the peer's SETTINGS have arrived. A `draining` connection, after a GOAWAY or when the stream IDs are used
 * up, accepts no new calls and is closed after the last one. A protocol error or a socket error leads to `lost` from every
 * state: each call ends with a status that contains the reason, and whether the peer may have processed the call.
 */
export class Http2Connection implements SingleConnection, StreamHost, ControlListener {
  readonly #socket: Socket
  readonly #listener: SingleConnectionListener<Http2Connection>
  readonly #deadlines: DeadlineClock
  readonly #keepalive: Keepalive
  readonly #peer: PeerSettings
  readonly #headers: RequestHeaders
  readonly #writer: FrameWriter
  readonly #sending: SendQueue
  readonly #streams: Streams
  readonly #reader: FrameReader
  #state: 'connecting' | 'open' | 'draining' | 'lost' = 'connecting'
  #bytesRead = 0
  /** The first bytes before the peer's SETTINGS are complete, for the error of a server that does not speak HTTP/2. */
  #firstBytes: Buffer = Buffer.alloc(0)
  /** Whether the connection preface was sent. */
  #hasSentPreface = false
  #pong: (() => void) | undefined
  #lastProcessedId = Number.POSITIVE_INFINITY
  #error: Error | undefined

  constructor(
    { dial, headers, settings, deadlines, lastStreamId }: ConnectionInit,
    listener: SingleConnectionListener<Http2Connection>,
  ) {
    this.#socket = dial((chunk, length) => this.#onBytes(chunk, length))
    this.#listener = listener
    this.#deadlines = deadlines
    this.#headers = new RequestHeaders(headers)
    this.#peer = new PeerSettings((bytes) => this.#headers.allowTable(bytes))
    this.#writer = new FrameWriter(this.#socket, () => this.#onWritable())
    this.#sending = new SendQueue(this.#writer, this.#peer)
    this.#streams = new Streams(lastStreamId)
    const parts = { streams: this.#streams, sending: this.#sending, writer: this.#writer, peer: this.#peer }
    this.#reader = new FrameReader(new FrameRouter(parts, this))
    this.#keepalive = new Keepalive(settings, {
      isBusy: () => this.#streams.count > 0,
      ping: (answered) => this.#ping(answered),
      onTimeout: (error) => this.#lose(error),
    })
    this.#listen()
  }

  /** Bytes received from the socket. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Bytes that the operating system has not accepted yet. */
  get bytesUnsent(): number {
    return this.#writer.unsentBytes
  }

  get openStreams(): number {
    return this.#streams.openCount
  }

  get maxStreams(): number {
    return this.#peer.maxStreams
  }

  /** Whether the TLS handshake is not complete. */
  get #isSecuring(): boolean {
    return this.#socket instanceof TLSSocket && !this.#hasSentPreface
  }

  /** Opens a stream for a call now, or as soon as the connection is open and the peer allows another stream. */
  start(stream: Http2Stream, request: RequestInit): void {
    this.#deadlines.add(stream)
    this.#keepalive.callStarted()
    if (this.#canOpen()) this.#open(stream, request)
    else {
      stream.request = request
      this.#streams.wait(stream)
    }
  }

  drain(): void {
    this.#drain('the connection was replaced')
  }

  /** Closes now, and fails every call on it. */
  close(): void {
    this.#lose(undefined)
  }

  streamEnded(stream: Http2Stream, resetCode: number | undefined): void {
    this.#deadlines.delete(stream)
    this.#streams.delete(stream)
    if (stream.id === 0) return
    this.#sending.remove(stream)
    // The peer has ended the stream before this side has sent everything.
    const code = stream.hasSentEnd ? resetCode : (resetCode ?? errorCodes.CANCEL)
    if (code !== undefined && this.#state !== 'lost') this.#writer.resetStream(stream.id, code)
    if (this.#state === 'draining' && this.#streams.openCount === 0) this.#lose(undefined)
    else if (this.#streams.waiting.size > 0) this.#openWaiting()
  }

  wantsToSend(stream: Http2Stream): void {
    this.#sending.add(stream)
  }

  releaseWindow(stream: Http2Stream, bytes: number): void {
    if (this.#state !== 'lost') this.#writer.windowUpdate(stream.id, bytes)
  }

  onSettings(): void {
    if (this.#state === 'connecting') {
      this.#state = 'open'
      this.#firstBytes = Buffer.alloc(0)
      this.#listener.onConnected(this)
    }
    this.#openWaiting()
  }

  /** In a graceful shutdown, Go sends a GOAWAY with the highest possible ID, and later one with the last processed stream. */
  onGoaway(lastStreamId: number, code: number, text: string): void {
    this.#lastProcessedId = Math.min(this.#lastProcessedId, lastStreamId)
    if (code === errorCodes.NO_ERROR) {
      this.#drain('the member accepts no new calls')
      for (const stream of this.#streams.refuseAfter(lastStreamId)) stream.fail(refused)
    } else {
      const details = text === '' ? '' : `: ${text}`
      this.#lose(new Error(`the member closed the connection with ${errorName(code)}${details}`))
    }
  }

  onPong(): void {
    const pong = this.#pong
    this.#pong = undefined
    pong?.()
  }

  #listen(): void {
    const socket = this.#socket
    socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => this.#sendPreface())
    socket.on('drain', () => this.#onWritable())
    socket.on('error', (error) => this.#lose(this.#isSecuring ? handshakeError(error) : error))
    socket.on('close', () => this.#lose(undefined))
  }

  #sendPreface(): void {
    // Without ALPN, the server may not expect HTTP/2.
    if (this.#socket instanceof TLSSocket && this.#socket.alpnProtocol !== 'h2') {
      this.#lose(new Error('TLS: the other side does not offer HTTP/2 (ALPN h2)'))
      return
    }
    this.#hasSentPreface = true
    this.#writer.raw(preface)
    this.#writer.frame(frameTypes.SETTINGS, 0, 0, ownSettings)
    this.#writer.windowUpdate(0, connectionWindowBytes - initialWindowBytes)
  }

  #onBytes(chunk: Buffer, length: number): void {
    if (this.#state === 'lost') return
    this.#bytesRead += length
    this.#keepalive.bytesRead()
    if (this.#state === 'connecting') {
      this.#firstBytes = firstBytesKept(this.#firstBytes, chunk.subarray(0, length))
      if (!mayBeHttp2(this.#firstBytes)) {
        this.#lose(notHttp2(this.#firstBytes))
        return
      }
    }
    try {
      this.#reader.read(chunk, length)
    } catch (error) {
      this.#lose(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #onWritable(): void {
    if (this.#state !== 'open' && this.#state !== 'draining') return
    this.#sending.pump()
    if (this.#streams.waiting.size > 0) this.#openWaiting()
  }

  #canOpen(): boolean {
    return this.#state === 'open' && this.#streams.openCount < this.#peer.maxStreams && !this.#sending.isBlocked
  }

  #openWaiting(): void {
    for (const stream of this.#streams.waiting) {
      if (!this.#canOpen()) return
      const { request } = stream
      if (request !== undefined) this.#open(stream, request)
    }
  }

  #open(stream: Http2Stream, request: RequestInit): void {
    const { path, metadata, deadlineAt, message } = request
    const block = this.#headers.block(path, metadata, deadlineAt, this.#peer.maxHeaderListBytes)
    if (block === undefined) {
      stream.fail(headersTooLarge)
      return
    }
    stream.request = undefined
    this.#streams.open(stream)
    if (message === undefined) {
      this.#writer.headers(stream.id, block, false)
      this.#sending.add(stream)
    } else this.#send(stream, block, message)
    if (!this.#streams.hasNextId) this.#drain('the stream IDs of the connection are used up')
  }

  #send(stream: Http2Stream, block: Buffer, message: Buffer): void {
    if (this.#sending.reserve(stream, messagePrefixBytes + message.length)) {
      stream.hasSentEnd = true
      this.#writer.call(stream.id, block, message)
      return
    }
    this.#writer.headers(stream.id, block, false)
    stream.outgoing = new OutgoingBody<Http2Stream>(stream)
    stream.outgoing.push(message, undefined)
    stream.outgoing.end()
    this.#sending.add(stream)
  }

  #ping(answered: () => void): boolean {
    if (this.#state === 'lost' || this.#state === 'connecting') return false
    this.#pong = answered
    this.#writer.frame(frameTypes.PING, 0, 0, pingPayload)
    return true
  }

  /** Accepts no new calls from now on. */
  #drain(why: string): void {
    if (this.#state !== 'connecting' && this.#state !== 'open') return
    this.#state = 'draining'
    this.#listener.onDraining(this)
    for (const stream of this.#streams.waitingStreams()) stream.fail(notStarted(why))
    if (this.#streams.openCount === 0) this.#lose(undefined)
  }

  #lose(error: Error | undefined): void {
    if (this.#state === 'lost') return
    this.#state = 'lost'
    this.#error = error
    this.#keepalive.stop()
    this.#sendGoaway(error instanceof Http2Error ? error : undefined)
    this.#socket.destroy()
    this.#listener.onLost(this, reasonOf(error))
    const waiting = this.#streams.waitingStreams()
    for (const stream of this.#streams.openStreams()) stream.fail(this.#statusOfLoss(stream))
    for (const stream of waiting) stream.fail(notStarted('the connection was lost'))
  }

  /** Some servers, such as Node's, do not end the streams of a socket that was closed without a GOAWAY. */
  #sendGoaway(error: Http2Error | undefined): void {
    if (!this.#hasSentPreface || this.#socket.destroyed) return
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(error?.code ?? errorCodes.NO_ERROR, 4)
    const text = Buffer.from(error?.message ?? '', 'latin1')
    this.#writer.frame(frameTypes.GOAWAY, 0, 0, Buffer.concat([payload, text]))
    this.#writer.flush()
  }

  #statusOfLoss(stream: Http2Stream): CallStatus {
    if (stream.id > this.#lastProcessedId) return refused
    return { code: statusCodes.unavailable, details: this.#error?.message ?? 'Connection dropped' }
  }
}

const pingPayload = Buffer.from('etcdkit!', 'latin1')

const refused: CallStatus = { code: statusCodes.unavailable, details: 'Stream refused by server', sent: false }

const headersTooLarge: CallStatus = {
  code: statusCodes.resourceExhausted,
  details: 'Attempted to send headers larger than the member accepts',
  sent: false,
}

function notStarted(why: string): CallStatus {
  return { code: statusCodes.unavailable, details: `Failed to start HTTP/2 stream: ${why}`, sent: false }
}

/** Why connecting failed. */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return plainReason('Failed to connect')
  // With several addresses, the error is an AggregateError without a message.
  const errors: readonly Error[] = 'errors' in error && Array.isArray(error.errors) ? error.errors : [error]
  return errors.map(({ message }) => plainReason(message)).join('; ')
}
