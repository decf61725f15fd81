import type { StatusResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import type { CallListener, UnaryChannel } from '../channel.js'
import { type CallContext, type CallMetadata, callContext } from '../transport.js'
import type { ConnectionHost } from './connection-host.js'
import type { Latency } from './latency.js'
import { probeStatus } from './member-probe.js'

/** How long a member may take to answer a probe before it is ejected. */
const probeTimeoutMs = 1000
/** How long an answer is waited for: a late one shows that the member is not dead, but short of CPU. */
const probeDeadlineMs = 10_000
/** How long a member may take to answer a call with a token until the token counts as stalled, in addition to some round trips. */
const stallMs = 400

/** What a prober needs from its connection. */
export interface ProberHost {
  readonly host: Pick<ConnectionHost<never>, 'identity' | 'probeMetadata' | 'tokenStalled'>
  readonly latency: Latency
  /** Sends a unary call. */
  send<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext): Promise<Response>
  /** The replaced token stalls as well: the member lags behind the cluster. */
  memberBehind(): void
}

/** Sends the probes of one connection. */
export class MemberProber {
  readonly #host: ProberHost

  constructor(asker: ProberHost) {
    this.#host = asker
  }

  /** The member's status: its ID, its role and the leader. */
  status(): Promise<StatusResponse> {
    const { host, latency } = this.#host
    return probeStatus(
      {
        call: (method, request, metadata, signal) => this.#call(method, request, metadata, signal),
        isOfCluster: ({ header }) => host.identity.clusterId === (header?.clusterId ?? host.identity.clusterId),
        stallTimeoutMs: stallMs + latency.fourTimesMs,
        tokenStalled: (token) => {
          if (!host.tokenStalled(token)) this.#host.memberBehind()
        },
      },
      host.probeMetadata(),
    )
  }

  /** Makes a live member send bytes on `channel`. The response itself is ignored. */
  ping(channel: UnaryChannel): void {
    const { path, encode } = methods.Maintenance.Status
    channel.startUnary(path, encode({}), {}, performance.now() + this.timeoutMs, ignoreAnswer)
  }

  #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: CallMetadata,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const context = callContext({ signal, timeoutMs: Math.max(probeDeadlineMs, this.timeoutMs) }, { metadata })
    return this.#host.send(method, request, context)
  }

  /** How long a member may take to answer `status()` before it is ejected. */
  get timeoutMs(): number {
    return Math.max(probeTimeoutMs, this.#host.latency.fourTimesMs)
  }
}

const ignoreAnswer: CallListener = { onReceiveMetadata() {}, onReceiveMessage() {}, onReceiveStatus() {} }
