import type { StatusResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import type { CallListener, UnaryChannel } from '../channel.js'
import { type CallContext, type CallMetadata, callContext } from '../transport.js'
import type { ConnectionHost } from './connection-host.js'
import type { Latency } from './latency.js'
import { probeStatus } from './member-probe.js'

const probeTimeoutMs = 1000
/** How long a member that answers may keep a call with a token waiting, beside the time of some round trips. */
const stallMs = 400

/** Who asks. */
export interface ProberHost {
  readonly host: Pick<ConnectionHost<never>, 'probeMetadata' | 'tokenStalled'>
  readonly latency: Latency
  /** Sends a question like any other call. */
  send<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext): Promise<Response>
  /** The next token is held back like the one before: the member itself is behind. */
  memberBehind(): void
}

/** The questions that a connection has for its member. */
export class MemberProber {
  readonly #host: ProberHost

  constructor(asker: ProberHost) {
    this.#host = asker
  }

  /** Who the member is, and who leads. */
  status(): Promise<StatusResponse> {
    const { host, latency } = this.#host
    return probeStatus(
      {
        call: (method, request, metadata, signal) => this.#call(method, request, metadata, signal),
        stallTimeoutMs: stallMs + latency.fourTimesMs,
        tokenStalled: (token) => {
          if (!host.tokenStalled(token)) this.#host.memberBehind()
        },
      },
      host.probeMetadata(),
    )
  }

  /** Whether anything at all comes from the member: shows in the bytes that the channel has read. */
  ping(channel: UnaryChannel): void {
    const { path, encode } = methods.Maintenance.Status
    channel.startUnary(path, encode({}), {}, performance.now() + this.#timeoutMs, ignoreAnswer)
  }

  #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: CallMetadata,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const context = callContext({ signal, timeoutMs: this.#timeoutMs }, { metadata })
    return this.#host.send(method, request, context)
  }

  get #timeoutMs(): number {
    return Math.max(probeTimeoutMs, this.#host.latency.fourTimesMs)
  }
}

const ignoreAnswer: CallListener = { onReceiveMetadata() {}, onReceiveMessage() {}, onReceiveStatus() {} }
