import type { StatusResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import { type CallContext, type CallMetadata, callContext } from '../transport.js'
import type { UnaryLane, UnaryListener } from '../unary-channel.js'
import type { ConnectionHost } from './connection-host.js'
import type { Latency } from './latency.js'
import { askStatus } from './member-probe.js'

const probeTimeoutMs = 1000
/** How long a member that answers may keep a call with a token waiting, beside the time of some round trips. */
const heldBackMs = 400

/** Who asks. */
export interface Asker {
  readonly host: Pick<ConnectionHost<never>, 'probeMetadata' | 'tokenHeldBack'>
  readonly latency: Latency
  /** Sends a question like any other call. */
  send<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext): Promise<Response>
  /** The next token is held back like the one before: the member itself is behind. */
  behind(): void
}

/** The questions that a connection has for its member. */
export class MemberQuestions {
  readonly #asker: Asker

  constructor(asker: Asker) {
    this.#asker = asker
  }

  /** Who the member is, and who leads. */
  status(): Promise<StatusResponse> {
    const { host, latency } = this.#asker
    return askStatus(
      {
        call: (method, request, metadata, signal) => this.#ask(method, request, metadata, signal),
        patienceMs: heldBackMs + latency.fourTimesMs,
        heldBack: (token) => {
          if (!host.tokenHeldBack(token)) this.#asker.behind()
        },
      },
      host.probeMetadata(),
    )
  }

  /** Whether anything at all comes from the member: shows in the bytes that the channel has read. */
  life(channel: UnaryLane): void {
    const { path, encode } = methods.Maintenance.Status
    channel.startUnary(path, encode({}), {}, performance.now() + this.#timeoutMs, nobody)
  }

  #ask<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: CallMetadata,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const context = callContext({ signal }, {})
    context.metadata = metadata
    context.deadlineAt = context.startedAt + this.#timeoutMs
    return this.#asker.send(method, request, context)
  }

  get #timeoutMs(): number {
    return Math.max(probeTimeoutMs, this.#asker.latency.fourTimesMs)
  }
}

const nobody: UnaryListener = { onReceiveMetadata() {}, onReceiveMessage() {}, onReceiveStatus() {} }
