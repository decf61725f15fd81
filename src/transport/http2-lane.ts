import type { OutgoingHttpHeaders } from 'node:http2'
import { halfJitterMs } from '../core/backoff.js'
import type { ChannelSettings } from './channel-settings.js'
import type { Credentials } from './credentials.js'
import { DeadlineClock } from './deadline-clock.js'
import type { Endpoint } from './endpoint.js'
import { frame, statusCodes, type TimeoutHeader, timeoutHeader } from './grpc-protocol.js'
import { plainReason } from './grpc-status.js'
import { commonHeaders, dial } from './http2-dial.js'
import { Http2Session, type SessionListener } from './http2-session.js'
import type { CallMetadata } from './transport.js'
import type { LaneCall, LaneState, UnaryLane, UnaryListener } from './unary-lane.js'

const reconnectBackoff = { baseMs: 100, maxMs: 2000 }

/** The headers of the last call of a method, which are most likely those of the next one. */
interface KnownHeaders {
  readonly metadata: CallMetadata
  readonly timeout: TimeoutHeader
  readonly headers: OutgoingHttpHeaders
}

type State =
  | { readonly kind: 'idle' | 'closed' }
  | { readonly kind: 'connecting'; readonly session: Http2Session }
  | { readonly kind: 'connected'; readonly session: Http2Session; readonly since: number }
  | { readonly kind: 'waiting'; readonly timer: NodeJS.Timeout }

/** Unary calls over sessions of Node's own HTTP/2: one for new calls, and those that the member has asked to leave. */
export class Http2Lane implements UnaryLane, SessionListener {
  readonly #endpoint: Endpoint
  readonly #credentials: () => Credentials
  readonly #settings: ChannelSettings
  readonly #onState: (state: LaneState) => void
  readonly #deadlines = new DeadlineClock()
  readonly #common: OutgoingHttpHeaders
  readonly #known = new Map<string, KnownHeaders>()
  readonly #leaving = new Set<Http2Session>()
  #state: State = { kind: 'idle' }
  #failures = 0

  constructor(
    endpoint: Endpoint,
    credentials: () => Credentials,
    settings: ChannelSettings,
    onState: (state: LaneState) => void,
  ) {
    this.#endpoint = endpoint
    this.#credentials = credentials
    this.#settings = settings
    this.#onState = onState
    this.#common = commonHeaders(endpoint)
  }

  connect(): void {
    const dialed = dial(this.#endpoint, this.#credentials(), this.#settings)
    this.#state = { kind: 'connecting', session: new Http2Session(dialed, this.#settings, this.#deadlines, this) }
  }

  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: UnaryListener,
  ): LaneCall {
    if (this.#state.kind !== 'connected') {
      listener.onReceiveStatus({ code: statusCodes.unavailable, details: 'not connected', sent: false })
      return noCall
    }
    const headers = this.#headers(path, metadata, deadlineAt)
    return this.#state.session.start(headers, frame(message), deadlineAt, listener)
  }

  close(): void {
    const state = this.#state
    this.#state = { kind: 'closed' }
    this.#deadlines.stop()
    if (state.kind === 'waiting') clearTimeout(state.timer)
    if ('session' in state) state.session.close()
    for (const session of this.#leaving) session.close()
  }

  onConnected(session: Http2Session): void {
    if (!this.#isCurrent(session)) return
    this.#state = { kind: 'connected', session, since: performance.now() }
    this.#onState({ kind: 'connected' })
  }

  onLeaving(session: Http2Session): void {
    if (!this.#isCurrent(session)) return
    this.#leaving.add(session)
    this.#again(undefined)
  }

  onLost(session: Http2Session, error: Error | undefined): void {
    this.#leaving.delete(session)
    if (this.#isCurrent(session)) this.#again(error)
  }

  #isCurrent(session: Http2Session): boolean {
    return 'session' in this.#state && this.#state.session === session
  }

  /** Connects again: at once after a connection that was of use, else after a backoff. */
  #again(error: Error | undefined): void {
    const wasOfUse = this.#state.kind === 'connected' && performance.now() - this.#state.since > reconnectBackoff.baseMs
    const wasConnected = this.#state.kind === 'connected'
    if (wasOfUse) {
      this.#failures = 0
      this.connect()
    } else {
      this.#failures += 1
      const timer = setTimeout(() => this.connect(), halfJitterMs(this.#failures, reconnectBackoff))
      timer.unref()
      this.#state = { kind: 'waiting', timer }
    }
    this.#onState(wasConnected ? { kind: 'connecting' } : { kind: 'failed', reason: reasonOf(error) })
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

/** Why no connection came about. */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return plainReason('Failed to connect')
  // What all addresses of a name have in common is an error without a text of its own.
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
  return errors.map((one) => plainReason(one instanceof Error ? one.message : String(one))).join('; ')
}
