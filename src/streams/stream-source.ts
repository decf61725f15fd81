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

/** An open stream. */
export interface OpenStream<Request = unknown, Response = unknown> {
  readonly call: StreamCall<Request, Response>
  /** The token that it was opened with. */
  readonly token: Token | undefined
}

/** How a stream is opened. */
export interface OpenOptions {
  /** The priority of the stream if the members allow few streams. @default 'call' */
  readonly purpose?: StreamPurpose | undefined
  readonly signal?: AbortSignal | undefined
  /** Members to avoid if another one is available. */
  readonly excludedEndpoints?: ReadonlySet<string> | undefined
  /** The member to open the stream on. */
  readonly endpoint?: string | undefined
}

/** Time limit of one attempt to open a stream; its owner retries. */
const openTimeoutMs = 10_000

/** Opens streams on healthy members with the client's token. It does not reopen them: see `ReconnectingStream`. */
export class StreamSource {
  readonly #manager: ConnectionManager
  readonly #tokens: TokenSource | undefined
  readonly #telemetry: ClientTelemetry
  readonly #reported = new Set<string>()
  /** Why the next token is requested. */
  #reason: TokenReason = 'first'

  constructor(manager: ConnectionManager, tokens: TokenSource | undefined, telemetry: ClientTelemetry) {
    this.#manager = manager
    this.#telemetry = telemetry
    this.#tokens = tokens
  }

  /** Whether there is a healthy member other than `endpoint` and those in `besides`. */
  hasOther(endpoint: string, besides: Iterable<string> = []): boolean {
    return this.#manager.hasUntriedEndpoint(anyMember, new Set([...besides, endpoint]))
  }

  /** A stream on this member does not answer: probes the member. */
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
      // The token may have changed while the call waited for a connection, for example with the cluster.
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

  /** Whether a member has a free slot for a streaming call. */
  hasPlace(endpoint: string): boolean {
    return this.#manager.connections.some(({ url, streamSlots }) => url === endpoint && streamSlots.has('call'))
  }

  /** A member refused the stream. Returns whether that was for its token, and a new one may help. */
  refused({ call, token }: OpenStream, error: EtcdError): boolean {
    if (this.#tokens?.renews !== true || token === undefined || !isTokenRefusal(error.code)) return false
    if (error.code === 'INVALID_AUTH_TOKEN' && token.maySpreadTo(call.endpoint)) return true
    this.#tokens.rejected(token, error.code)
    this.#reason = 'rejected'
    return true
  }

  /** The stream works: its token is valid on this member. */
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
