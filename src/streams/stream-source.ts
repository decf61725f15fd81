import { isTokenRefusal, type Token, type TokenReason } from '../auth/token.js'
import type { TokenSource } from '../auth/token-source.js'
import type { EtcdError } from '../core/errors.js'
import { streamMetadata } from '../interceptors/metadata.js'
import type { Method } from '../protobuf/methods.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type { Connection } from '../transport/connection/connection.js'
import type { ConnectionManager } from '../transport/connection/connection-manager.js'
import type { StreamCall, StreamListener } from '../transport/connection/stream-call.js'
import { noStreamSlot, type StreamPurpose } from '../transport/stream-slots.js'
import { anyMember, type CallContext, callContext } from '../transport/transport.js'
import { StreamTrace } from './stream-trace.js'

/** A stream that was opened. */
export interface OpenStream<Request = unknown, Response = unknown> {
  readonly call: StreamCall<Request, Response>
  /** The token that it carries for all of its life. */
  readonly token: Token | undefined
}

/** Where a stream is opened. */
export interface OpenOptions {
  /** Decides who gets a place where the members allow few streams. @default 'call' */
  readonly purpose?: StreamPurpose | undefined
  readonly signal?: AbortSignal | undefined
  /** Members to avoid where there is a choice. */
  readonly excludedEndpoints?: ReadonlySet<string> | undefined
  /** The one member to open it on. */
  readonly endpoint?: string | undefined
}

/** Bound of one attempt to open a stream; who needs it tries again. */
const openTimeoutMs = 10_000

/** Opens streams on healthy members, with the client's token. Keeps none of them: who opened one reopens it. */
export class StreamSource {
  readonly #manager: ConnectionManager
  readonly #tokens: TokenSource | undefined
  readonly #telemetry: ClientTelemetry
  readonly #reported = new Set<string>()
  /** Why the next token is asked for, if one has to be. */
  #reason: TokenReason = 'first'

  constructor(manager: ConnectionManager, tokens: TokenSource | undefined, telemetry: ClientTelemetry) {
    this.#manager = manager
    this.#telemetry = telemetry
    this.#tokens = tokens
  }

  /** Whether there is a healthy member other than `endpoint`, and than those of `besides`. */
  hasOther(endpoint: string, besides: Iterable<string> = []): boolean {
    return this.#manager.hasUntriedEndpoint(anyMember, new Set([...besides, endpoint]))
  }

  /** A stream on this member owes an answer: the member is asked whether it is alive. */
  suspect(endpoint: string): void {
    this.#manager.suspect(endpoint)
  }

  /** Opens a stream, on any healthy member unless the options name one. */
  async open<Request, Response>(
    method: Method<Request, Response>,
    listener: StreamListener<Response>,
    { signal, excludedEndpoints, endpoint, purpose = 'call' }: OpenOptions,
  ): Promise<OpenStream<Request, Response>> {
    const kind = { requiresFloor: true, route: { ...anyMember, endpoint } }
    let context = { ...callContext({ signal, timeoutMs: openTimeoutMs }, kind), excludedEndpoints }
    const full = new Set<string>()
    for (;;) {
      const token = this.#tokens?.current() ?? (await this.#tokens?.get(this.#reason, context))
      const connection = this.#manager.pick(context) ?? (await this.#manager.wait(context))
      signal?.throwIfAborted()
      // What was the token when the wait began may be of a cluster that is gone.
      if (token !== this.#tokens?.current()) continue
      if (!connection.streamSlots.has(purpose)) {
        context = { ...context, excludedEndpoints: this.#avoid(connection, purpose, context, full) }
        continue
      }
      const traced = new StreamTrace(this.#telemetry, method, connection.url, listener)
      const call = connection.stream({ method, metadata: streamMetadata(token?.value), purpose, listener: traced })
      if (call === undefined) continue
      traced.opened()
      return { call, token }
    }
  }

  /** Whether a member has a place for a call that is a stream. */
  hasPlace(endpoint: string): boolean {
    return this.#manager.connections.some(({ url, streamSlots }) => url === endpoint && streamSlots.has('call'))
  }

  /** A member refused what the stream asked for. Returns whether that was about its token and a new one may help. */
  refused({ call, token }: OpenStream, error: EtcdError): boolean {
    if (this.#tokens?.renews !== true || token === undefined || !isTokenRefusal(error.code)) return false
    if (error.code === 'INVALID_AUTH_TOKEN' && token.maySpreadTo(call.endpoint)) return true
    this.#tokens.rejected(token, error.code)
    this.#reason = 'rejected'
    return true
  }

  /** The stream works: its token is in use on this member. */
  used({ call, token }: OpenStream): void {
    token?.used(call.endpoint)
  }

  /** The members to avoid now: another one may have a place, first of all one that has not failed. Throws where there is none. */
  #avoid(
    connection: Connection,
    purpose: StreamPurpose,
    { route, excludedEndpoints }: CallContext,
    full: Set<string>,
  ): ReadonlySet<string> {
    const { streamSlots, url } = connection
    this.#reportLimit(url, streamSlots.maxStreams, purpose)
    full.add(url)
    const both = new Set([...(excludedEndpoints ?? []), ...full])
    if (this.#manager.hasUntriedEndpoint(route, both)) return both
    if (this.#manager.hasUntriedEndpoint(route, full)) return full
    throw noStreamSlot(streamSlots, purpose, url)
  }

  #reportLimit(endpoint: string, maxStreams: number, purpose: StreamPurpose): void {
    const id = `${endpoint} ${purpose}`
    if (this.#reported.has(id)) return
    this.#reported.add(id)
    this.#manager.events.emit('streamLimit', { endpoint, maxStreams, purpose })
  }
}
