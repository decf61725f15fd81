import { type ClientHttp2Session, type ClientHttp2Stream, constants, type OutgoingHttpHeaders } from 'node:http2'
import type { Expiring } from './deadline-clock.js'
import { bytesToFollow, statusCodes, statusOf, statusOfHttp, statusOfReset, unframe } from './grpc-protocol.js'
import type { CallStatus, LaneCall, UnaryListener } from './unary-lane.js'

/** The session that a call is made on. */
export interface CallOwner {
  /** A word came from the member. */
  heard(): void
  /** The call is over for its listener, or not wanted any more. */
  ended(call: Http2Call): void
  /** The stream of the call is gone. */
  released(): void
  /** The status of a call whose stream ended because the session did; `undefined` where the session has not. */
  statusOfLoss(streamId: number | undefined): CallStatus | undefined
}

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants
/** The end of the stream, which follows every error, tells all that is needed. */
const ignore = (): void => {}

const twoMessages: CallStatus = { code: statusCodes.internal, details: 'the answer has more than one message' }

/** One unary call of gRPC on one stream of HTTP/2. */
export class Http2Call implements LaneCall, Expiring {
  readonly deadlineAt: number
  readonly #owner: CallOwner
  #listener: UnaryListener | undefined
  #stream: ClientHttp2Stream | undefined
  #httpStatus: number | undefined
  #first: Buffer | undefined
  #rest: Buffer[] | undefined
  #missingBytes = 0

  constructor(owner: CallOwner, deadlineAt: number, listener: UnaryListener) {
    this.#owner = owner
    this.deadlineAt = deadlineAt
    this.#listener = listener
  }

  /** Whether nobody has ended it yet. */
  get isWanted(): boolean {
    return this.#listener !== undefined
  }

  /** Opens the stream, sends everything, and returns its ID. Throws what Node throws for a session that takes no streams. */
  send(session: ClientHttp2Session, headers: OutgoingHttpHeaders, framed: Buffer): number {
    // Without options: Node takes a tenth of the call's time to look at them.
    const stream = session.request(headers)
    this.#stream = stream
    stream.on('response', (answer, flags) => this.#onResponse(answer, flags))
    stream.on('data', (chunk: Buffer) => this.#onData(chunk))
    stream.on('trailers', (trailers) => this.#onTrailers(trailers))
    stream.on('error', ignore)
    stream.on('close', () => this.#onClose())
    stream.end(framed)
    return stream.id ?? 0
  }

  cancelWithStatus(): void {
    if (this.#listener === undefined) return
    this.#leave()
    this.#stream?.close(NGHTTP2_CANCEL)
  }

  expire(): void {
    this.fail({ code: statusCodes.deadlineExceeded, details: 'Deadline exceeded', sent: this.#stream !== undefined })
  }

  /** Ends it with a status that this side has found. */
  fail(status: CallStatus): void {
    this.#finish(status)
    this.#stream?.close(NGHTTP2_CANCEL)
  }

  #onResponse(
    headers: Parameters<typeof statusOf>[0] & { readonly ':status'?: number | undefined },
    flags: number,
  ): void {
    this.#owner.heard()
    this.#httpStatus = headers[':status']
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#onTrailers(headers)
  }

  #onData(chunk: Buffer): void {
    if (this.#listener === undefined) return
    if (this.#first === undefined) {
      this.#first = chunk
      this.#missingBytes = bytesToFollow(chunk)
    } else {
      this.#owner.heard()
      this.#rest ??= []
      this.#rest.push(chunk)
      this.#missingBytes -= chunk.length
    }
    // Nobody keeps what never ends.
    if (this.#missingBytes < 0) this.fail(twoMessages)
  }

  #onTrailers(headers: Parameters<typeof statusOf>[0]): void {
    const status = statusOf(headers) ?? statusOfHttp(this.#httpStatus)
    // It was refused before all of it was sent, and the rest is of no use.
    if (status.code !== statusCodes.ok && this.#stream?.writableFinished === false) this.fail(status)
    else this.#finish(status)
  }

  #onClose(): void {
    // Before the session hears of it, which may end with its last stream.
    const status = this.#listener === undefined ? undefined : this.#statusOfClose()
    this.#owner.released()
    if (status !== undefined) this.#finish(status)
  }

  #statusOfClose(): CallStatus {
    const { rstCode = NGHTTP2_NO_ERROR, id } = this.#stream ?? {}
    return this.#owner.statusOfLoss(id) ?? this.#statusOfEnd(rstCode)
  }

  /** The stream ended by itself, without a status. */
  #statusOfEnd(rstCode: number): CallStatus {
    if (rstCode !== NGHTTP2_NO_ERROR) return statusOfReset(rstCode)
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200) return statusOfHttp(this.#httpStatus)
    return { code: statusCodes.internal, details: 'Received RST_STREAM with code 0 (Call ended without gRPC status)' }
  }

  #finish(status: CallStatus): void {
    const listener = this.#listener
    if (listener === undefined) return
    this.#leave()
    if (status.code !== statusCodes.ok || this.#first === undefined) {
      listener.onReceiveStatus(status)
      return
    }
    const message = unframe(this.#first, this.#rest)
    if (typeof message === 'string') {
      listener.onReceiveStatus({ code: statusCodes.internal, details: message })
      return
    }
    listener.onReceiveMessage(message)
    listener.onReceiveStatus(status)
  }

  #leave(): void {
    this.#listener = undefined
    this.#owner.ended(this)
  }
}
