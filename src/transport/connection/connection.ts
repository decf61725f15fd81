import { EtcdError } from '../../core/errors.js'
import type { ResponseHeader } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import type { ChannelState } from '../channel.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { isTransportCode } from '../grpc-status.js'
import { StreamSlots } from '../stream-slots.js'
import type { CallContext } from '../transport.js'
import type { ConnectionHost } from './connection-host.js'
import { ConnectionLiveness } from './connection-liveness.js'
import type { ConnectionState, MemberRole } from './connection-state.js'
import type { EjectReason } from './ejection.js'
import { InFlightCalls } from './in-flight-calls.js'
import { Latency } from './latency.js'
import { type MemberChannels, type MemberChannelsListener, openMemberChannels } from './member-channels.js'
import { isUnresponsive, MemberHealth } from './member-health.js'
import { MemberProber } from './member-prober.js'
import { StreamCall, type StreamInit, type StreamOwner } from './stream-call.js'
import { type AttemptOwner, UnaryAttempt } from './unary-attempt.js'

const unlimited = { maxStreams: Number.POSITIVE_INFINITY, unarySlots: 0 }
/** Consecutive probes without a response after which all calls in flight to a silent member fail. */
const maxUnansweredProbes = 3

/**
 * One endpoint: its channels, the health of the member behind it, and the calls in flight. `MemberHealth` describes the states.
 * Calls go to ejected members only where there is no other choice, which is the manager's decision.
 */
export class Connection implements AttemptOwner, StreamOwner, MemberChannelsListener {
  readonly endpoint: Endpoint
  readonly #host: ConnectionHost<Connection>
  readonly #calls: InFlightCalls
  #channels: MemberChannels | undefined
  readonly #health: MemberHealth
  readonly #liveness: ConnectionLiveness
  readonly #prober: MemberProber
  readonly #latency = new Latency()
  #draining = false

  constructor(endpoint: Endpoint, host: ConnectionHost<Connection>) {
    this.endpoint = endpoint
    this.#host = host
    this.#calls = new InFlightCalls(endpoint.url)
    this.#health = this.#createHealth()
    this.#liveness = this.#createLiveness()
    this.#prober = new MemberProber({
      host,
      latency: this.#latency,
      send: (method, request, context) => this.#send(method, method.encode(request), context, 0),
      memberBehind: () => this.#health.eject('unresponsive'),
    })
  }

  get url(): string {
    return this.endpoint.url
  }

  get state(): ConnectionState {
    return this.#health.state
  }

  /** Whether a call could be sent now, whatever the health of the member. */
  get isConnected(): boolean {
    const { kind } = this.state
    return kind === 'ready' || kind === 'ejected' || kind === 'probing'
  }

  get inFlight(): number {
    return this.#calls.count
  }

  /** Whether `tick` has to be called: calls or probes are in flight. */
  get needsTicks(): boolean {
    return this.#liveness.needsTicks
  }

  /** Moving average of the latency of small calls; `undefined` before the first one. */
  get latencyMs(): number | undefined {
    return this.#latency.ms
  }

  get memberId(): string | undefined {
    return this.#health.memberId
  }

  /** The cluster that the member belongs to; `undefined` until it has answered on the current connection. */
  get clusterId(): string | undefined {
    return this.#health.clusterId
  }

  get version(): string | undefined {
    return this.#health.version
  }

  /** Bytes of the database that are in use. */
  get dataBytes(): number | undefined {
    return this.#health.dataBytes
  }

  get role(): MemberRole | undefined {
    return this.#health.role
  }

  /** The stream slots on the connection for streams, unlimited until the member has announced its limit. */
  get streamSlots(): StreamSlots {
    return new StreamSlots(this.#channels?.streamLimit ?? unlimited, this.#calls)
  }

  /** When the member's status was last requested. */
  get refreshedAt(): number {
    return this.#health.refreshedAt
  }

  connect(): void {
    if (this.state.kind === 'idle') this.#openChannels()
  }

  /** Sends one call. Rejects with `NOT_CONNECTED` unless `isConnected`. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
  ): Promise<Response> {
    if (!this.isConnected) return Promise.reject(this.#notConnected())
    const minRevision = context.requiresFloor && !context.skipsRevisionCheck ? this.#host.identity.revision : 0
    return this.#send(method, message, context, minRevision)
  }

  /** Opens one stream; `undefined` where none can be opened now. Every later failure is reported by the listener's `onEnd`. */
  stream<Request, Response>(init: StreamInit<Request, Response>): StreamCall<Request, Response> | undefined {
    const channels = this.#channels
    if (channels === undefined || !this.isConnected || this.#draining) return undefined
    const stream = new StreamCall(this, init)
    if (this.#liveness.isStreamChannelSuspect(performance.now())) this.#host.silenceFound(this)
    this.#calls.addStream(stream as StreamCall)
    stream.start(channels.streamChannel(), init.metadata)
    return stream
  }

  /** Requests the member's status. Failures show in the connection's state, not here. */
  refresh(): Promise<void> {
    return this.#health.refresh()
  }

  /** Whether calls that are not repeatable should wait until the member has shown that it is alive. */
  isSuspect(now: number): boolean {
    return isUnresponsive(this.state) || (this.state.kind === 'ready' && this.#liveness.isSuspect(now))
  }

  /** Probes a ready member unless bytes have just come from it. It is ejected if it stays silent. */
  check(): void {
    if (this.state.kind === 'ready') this.#liveness.check()
  }

  /**
   * One tick of the manager's clock, which runs while calls or probes are in flight. A member that has sent no byte for some
   * ticks is probed; if it stays silent, it is ejected, and repeatable calls on it fail so that they are retried elsewhere.
   * A member that is alive and responds slowly is not affected.
   */
  tick(): void {
    if (this.state.kind === 'ready') this.#liveness.tick()
    else this.#liveness.reset()
  }

  /** Probes an ejected member now instead of after its backoff. */
  probeNow(): void {
    this.#health.probeNow()
  }

  /** Fails the repeatable calls that were sent with a stalled token, so that they are retried with another one. */
  failCallsWithToken(token: string): void {
    this.#calls.failWithToken(token)
  }

  /** Fails the proposals that were sent before `raisedAt`, when the raft term rose: their leader is gone. */
  failProposals(raisedAt: number): void {
    this.#calls.failProposals(raisedAt)
  }

  /** Fails the streams now, so that they move to other members, and closes after the last call in flight. */
  drain(): void {
    this.#draining = true
    this.#calls.failStreams(undefined)
    if (this.#calls.count === 0) this.close(undefined)
  }

  /** Closes now. Calls in flight reject with `reason`, by default `CONNECTION_LOST`. */
  close(reason: (() => EtcdError) | undefined): void {
    if (this.state.kind === 'closed') return
    this.#health.close()
    this.#calls.failAll(reason)
    this.#channels?.close()
  }

  ended(attempt: UnaryAttempt): void {
    this.#calls.attemptEnded(attempt)
    if (this.#draining && this.#calls.count === 0) this.close(undefined)
  }

  streamAnswered(header: ResponseHeader): EtcdError | undefined {
    this.#liveness.streamAnswered()
    this.#host.patience.answered()
    return this.#observe(header, 0)
  }

  streamEnded(stream: StreamCall): void {
    this.#calls.streamEnded(stream)
  }

  answered(attempt: UnaryAttempt, header: ResponseHeader | undefined): EtcdError | undefined {
    const now = performance.now()
    this.#liveness.answered(now)
    this.#latency.sample(now - attempt.sentAt, attempt.context.progress.responseBytes)
    const refused = this.#observe(header, attempt.minRevision)
    // A status is about the member, whatever its cluster, and a token is valid in the cluster of the member that issued it.
    const isProbe = attempt.method === methods.Maintenance.Status
    if (!isProbe) this.#host.patience.answered()
    const isAboutMember = isProbe || attempt.method === methods.Auth.Authenticate
    return isAboutMember ? undefined : refused
  }

  failed(error: EtcdError): void {
    if (!isTransportCode(error.code)) this.#liveness.answered(performance.now())
    if (error.code === 'NOT_SUPPORTED_FOR_LEARNER') this.#health.learnerFound()
    else if (error.code === 'NO_LEADER') this.#health.leaderMissing()
    // Calls with short deadlines end before `tick` can find that the member is silent.
    else if (error.code === 'DEADLINE_EXCEEDED') this.check()
  }

  onState(state: ChannelState): void {
    switch (state.kind) {
      case 'connected':
        this.#liveness.connected()
        this.#health.connected()
        return
      case 'connecting':
        this.#health.connecting()
        return
      case 'failed':
        this.#health.connecting(state.reason)
    }
  }

  /** A member in graceful shutdown accepts no new calls and serves its streams for some more seconds. */
  onStreamsDraining(): void {
    this.#host.silenceFound(this)
    this.#calls.notifyDraining()
  }

  /** Processes a response header. Where Status is refused, other responses show which cluster the member belongs to. */
  #observe(header: ResponseHeader | undefined, minRevision: number): EtcdError | undefined {
    const refused = this.#host.identity.observe(header, this.url, minRevision)
    if (refused?.code !== 'CLUSTER_CHANGED') return refused
    this.#health.otherClusterFound(header)
    return refused
  }

  #openChannels(): void {
    this.#health.connecting()
    const { endpoint } = this
    const credentials = (): Credentials => this.#host.credentials(endpoint)
    this.#channels = openMemberChannels({ endpoint, credentials, settings: this.#host.settings }, this)
    this.#channels.unary.connect()
  }

  #createHealth(): MemberHealth {
    return new MemberHealth({
      identity: this.#host.identity,
      status: () => this.#prober.status(),
      probeTimeoutMs: () => this.#prober.timeoutMs,
      stateChanged: (previous) => this.#host.stateChanged(this, previous),
      statusReceived: (status) => this.#host.statusReceived(this, status),
      otherClusterFound: () => this.#host.otherClusterFound(this),
      ejected: (reason, ejections) => this.#onEjected(reason, ejections),
    })
  }

  #createLiveness(): ConnectionLiveness {
    const channels = (): MemberChannels | undefined => this.#channels
    return new ConnectionLiveness({
      get channels() {
        return channels()
      },
      calls: this.#calls,
      latency: this.#latency,
      patience: this.#host.patience,
      probe: (over) => this.#sendProbe(over),
      verified: () => this.#host.stateChanged(this, this.state),
      silent: (over) => this.#onSilent(over),
    })
  }

  #sendProbe(over: 'unary' | 'streams'): void {
    const streams = this.#channels?.separateStreamChannel
    if (over === 'unary') void this.refresh()
    else if (streams !== undefined) this.#prober.ping(streams)
  }

  #onSilent(over: 'unary' | 'streams'): void {
    if (over === 'unary') this.#health.eject('unresponsive')
    else this.#calls.failStreams(undefined)
    this.#host.silenceFound(this)
  }

  #onEjected(reason: EjectReason, ejections: number): void {
    if (reason === 'unresponsive') this.#abandonSilent(ejections)
    if (reason !== 'no leader') this.#calls.failStreams(undefined)
  }

  /** The network path may be dead while the member is alive: another connection is opened beside the silent one. */
  #abandonSilent(ejections: number): void {
    if (ejections === 1) this.#host.patience.exhausted()
    this.#channels?.unary.replaceConnection()
    this.#channels?.separateStreamChannel?.replaceConnection()
    if (ejections > maxUnansweredProbes) this.#calls.failAll(undefined)
    else this.#calls.failRepeatable()
  }

  #send<Request, Response>(
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
    minRevision: number,
  ): Promise<Response> {
    const channel = this.#channels?.unary
    if (channel === undefined) return Promise.reject(this.#notConnected())
    if (this.#calls.count === 0) this.#liveness.callsStarted()
    const attempt = new UnaryAttempt(this, method, context, minRevision)
    this.#calls.addAttempt(attempt as UnaryAttempt)
    return attempt.run(channel, message)
  }

  #notConnected(): EtcdError {
    const init = { code: 'NOT_CONNECTED', effect: 'none', retryable: true, endpoint: this.url } as const
    return new EtcdError('not connected', init)
  }
}
