import type { OutgoingHttpHeaders } from 'node:http2'
import type { ChannelSettings } from './channel-settings.js'
import type { Credentials } from './credentials.js'
import { DeadlineClock } from './deadline-clock.js'
import type { Endpoint } from './endpoint.js'
import { frame, statusCodes, type TimeoutHeader, timeoutHeader } from './grpc-protocol.js'
import { commonHeaders, dial } from './http2-dial.js'
import { Http2Session } from './http2-session.js'
import { Reconnector } from './reconnector.js'
import type { CallMetadata } from './transport.js'
import type { LaneCall, LaneState, UnaryLane, UnaryListener } from './unary-lane.js'

/** The headers of the last call of a method, which are most likely those of the next one. */
interface KnownHeaders {
  readonly metadata: CallMetadata
  readonly timeout: TimeoutHeader
  readonly headers: OutgoingHttpHeaders
}

/** Unary calls over sessions of Node's own HTTP/2: one for new calls, and those that the member has asked to leave. */
export class Http2Lane implements UnaryLane {
  readonly bytesUnsent = 0
  readonly #deadlines = new DeadlineClock()
  readonly #common: OutgoingHttpHeaders
  readonly #known = new Map<string, KnownHeaders>()
  readonly #sessions: Reconnector<Http2Session>

  constructor(
    endpoint: Endpoint,
    credentials: () => Credentials,
    settings: ChannelSettings,
    onState: (state: LaneState) => void,
  ) {
    this.#common = commonHeaders(endpoint)
    this.#sessions = new Reconnector((listener) => {
      return new Http2Session(dial(endpoint, credentials(), settings), settings, this.#deadlines, listener)
    }, onState)
  }

  get bytesRead(): number {
    return this.#sessions.connected?.bytesRead ?? 0
  }

  get maxStreams(): number {
    return this.#sessions.connected?.maxStreams ?? Number.POSITIVE_INFINITY
  }

  connect(): void {
    this.#sessions.connect()
  }

  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: UnaryListener,
  ): LaneCall {
    const session = this.#sessions.connected
    if (session === undefined) {
      listener.onReceiveStatus({ code: statusCodes.unavailable, details: 'not connected', sent: false })
      return noCall
    }
    return session.start(this.#headers(path, metadata, deadlineAt), frame(message), deadlineAt, listener)
  }

  replace(): void {
    this.#sessions.replace()
  }

  close(): void {
    this.#deadlines.stop()
    this.#sessions.close()
  }

  #headers(path: string, metadata: CallMetadata, deadlineAt: number): OutgoingHttpHeaders {
    const waitMs = deadlineAt - performance.now()
    const known = this.#known.get(path)
    if (known?.metadata === metadata && waitMs > known.timeout.overMs && waitMs <= known.timeout.mostMs) {
      return known.headers
    }
    const timeout = timeoutHeader(waitMs)
    const bound = timeout.text === undefined ? {} : { 'grpc-timeout': timeout.text }
    const headers = { ...this.#common, ':path': path, ...bound, ...metadata }
    this.#known.set(path, { metadata, timeout, headers })
    return headers
  }
}

const noCall: LaneCall = { cancelWithStatus() {} }
