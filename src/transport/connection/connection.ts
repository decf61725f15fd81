import { EtcdError } from '../../core/errors.js'
import type { ResponseHeader, StatusResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import type { ChannelState } from '../channel.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { isTransportCode } from '../grpc-status.js'
import { StreamSlots } from '../stream-slots.js'
import type { CallContext } from '../transport.js'
import type { ConnectionHost } from './connection-host.js'
import { ConnectionLiveness } from './connection-liveness.js'
import { type ConnectionState, ejectReasonOf, type MemberRole } from './connection-state.js'
import { type EjectReason, ejectionMs } from './ejection.js'
import { InFlightCalls } from './in-flight-calls.js'
import { Latency } from './latency.js'
import { type MemberChannels, type MemberChannelsListener, openMemberChannels } from './member-channels.js'
import { isRefusal } from './member-probe.js'
import { MemberProber } from './member-prober.js'
import { StreamCall, type StreamInit, type StreamOwner } from './stream-call.js'
import { type AttemptOwner, UnaryAttempt } from './unary-attempt.js'

const unlimited = { maxStreams: Number.POSITIVE_INFINITY, unarySlots: 0 }
/** Probes in a row that a silent member may leave unanswered before the calls on it are given up. */
const maxUnansweredProbes = 3

/**
 * One endpoint: its channels, its health and the calls under way on it.
 *
 *     idle → connecting → probing → ready ⇄ ejected
 *
 * The channel of unary calls moves it between `connecting` and connected, on its own backoff. One Status call probes a new connection
 * before it gets any traffic. `ready` ends when the connection is lost, when the member has no leader, or when `tick` finds it
 * silent. An ejected member is probed again after a backoff, and gets traffic when it answers well. Calls go to ejected
 * members only where there is no other choice, which is the manager's decision.
 */
export class Connection implements AttemptOwner, StreamOwner, MemberChannelsListener {
  readonly endpoint: Endpoint
  readonly #host: ConnectionHost<Connection>
  readonly #calls: InFlightCalls
  #channels: MemberChannels | undefined
  #state: ConnectionState = { kind: 'idle' }
  readonly #liveness: ConnectionLiveness
  readonly #prober: MemberProber
  readonly #latency = new Latency()
  #status: StatusResponse | undefined
  #clusterId: string | undefined
  #knownLearner = false
  #refreshedAt = Number.NEGATIVE_INFINITY
  #draining = false

  constructor(endpoint: Endpoint, host: ConnectionHost<Connection>) {
    this.endpoint = endpoint
    this.#host = host
    this.#calls = new InFlightCalls(endpoint.url)
    this.#liveness = this.#createLiveness()
    this.#prober = new MemberProber({
      host,
      latency: this.#latency,
      send: (method, request, context) => this.#send(method, method.encode(request), context, 0),
      memberBehind: () => this.eject('unresponsive'),
    })
  }

  get url(): string {
    return this.endpoint.url
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Whether a call could be sent now, wise or not. */
  get isConnected(): boolean {
    return this.#state.kind === 'ready' || this.#state.kind === 'ejected' || this.#state.kind === 'probing'
  }

  get inFlight(): number {
    return this.#calls.count
  }

  /** Whether something is waited for, so that ticks are needed. */
  get needsTicks(): boolean {
    return this.#liveness.needsTicks
  }

  /** Moving average of the time that small calls take; `undefined` before the first. */
  get latencyMs(): number | undefined {
    return this.#latency.ms
  }

  get memberId(): string | undefined {
    return this.#status?.header?.memberId
  }

  /** The cluster that the member belongs to, as far as it has said so since it was connected. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  get version(): string | undefined {
    return this.#status?.version
  }

  /** Bytes of the database that are in use. */
  get dataBytes(): number | undefined {
    return this.#status?.dbSizeInUse
  }

  get role(): MemberRole | undefined {
    if (this.#knownLearner) return 'learner'
    if (this.#status?.leader === undefined) return undefined
    return this.#status.leader === this.memberId ? 'leader' : 'follower'
  }

  /** The places for streams, as far as it is known how many there are. */
  get streamSlots(): StreamSlots {
    return new StreamSlots(this.#channels?.streamLimit ?? unlimited, this.#calls)
  }

  /** When the member was last asked for its status. */
  get refreshedAt(): number {
    return this.#refreshedAt
  }

  connect(): void {
    if (this.#state.kind !== 'idle') return
    this.#openChannels()
  }

  /** Sends one call. The caller has made sure that the connection is `connected`. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
  ): Promise<Response> {
    if (!this.isConnected) return Promise.reject(this.#notConnected())
    const floor = context.requiresFloor && !context.skipsRevisionCheck ? this.#host.identity.revision : 0
    return this.#send(method, message, context, floor)
  }

  /** Opens one stream. Its first sign of trouble, as of everything that follows, is the listener's `onEnd`. */
  stream<Request, Response>(init: StreamInit<Request, Response>): StreamCall<Request, Response> | undefined {
    const channels = this.#channels
    if (channels === undefined || !this.isConnected || this.#draining) return undefined
    const stream = new StreamCall(this, init)
    if (this.#liveness.isStreamChannelSuspect(performance.now())) this.#host.silenceFound(this)
    this.#calls.addStream(stream as StreamCall)
    stream.start(channels.streamChannel(), init.metadata)
    return stream
  }

  /** Asks the member for its status and takes in what it says. Failures show in the connection's state, not here. */
  async refresh(): Promise<void> {
    this.#refreshedAt = performance.now()
    try {
      this.#onStatus(await this.#prober.status())
    } catch {
      // A member that stays silent is noticed by `tick`, a lost connection by its channel.
    }
  }

  /** Whether what cannot be sent twice may have to wait until the member has given a sign of life. */
  isSuspect(now: number): boolean {
    const reason = ejectReasonOf(this.#state)
    return reason === 'unresponsive' || (this.#state.kind === 'ready' && this.#liveness.isSuspect(now))
  }

  /** Asks a healthy member whether it is alive, unless it has just shown that. If it is silent, it is ejected. */
  check(): void {
    if (this.#state.kind === 'ready') this.#liveness.check()
  }

  /**
   * One tick of the manager's clock, which runs while something is waited for. A member that gives no sign of life for some
   * ticks is asked for its status; if nothing comes then either, it is ejected and the reads that wait for it are given
   * up, to be repeated elsewhere. Slow answers of a member that is alive never lead to this.
   */
  tick(): void {
    if (this.#state.kind === 'ready') this.#liveness.tick()
    else this.#liveness.reset()
  }

  /** Keeps calls away until a probe, after a backoff, is answered well. */
  eject(reason: EjectReason): void {
    const ejections = (this.#state.kind === 'probing' ? this.#state.ejections : 0) + 1
    const delayMs = ejectionMs(ejections, reason)
    const timer = setTimeout(() => void this.#probe(ejections, reason), delayMs)
    timer.unref()
    this.#enter({ kind: 'ejected', ejections, reason, timer })
    if (reason === 'unresponsive') this.#abandonSilent(ejections)
    if (reason !== 'no leader') this.#calls.failStreams(undefined)
  }

  /** Probes an ejected member now instead of after its backoff. */
  probeNow(): void {
    if (this.#state.kind === 'ejected') void this.#probe(0, this.#state.reason)
  }

  /** Gives up the reads that wait with a token which is held back: they are sent again with another one. */
  failCallsWithToken(token: string): void {
    this.#calls.failWithToken(token)
  }

  /** Gives up the proposals that were sent before `raisedAt`, when the term rose: their leader is gone. */
  failProposals(raisedAt: number): void {
    this.#calls.failProposals(raisedAt)
  }

  /** Closes as soon as the calls under way have ended; streams move elsewhere now. */
  drain(): void {
    this.#draining = true
    this.#calls.failStreams(undefined)
    if (this.#calls.count === 0) this.close(undefined)
  }

  /** Ends the connection now; calls under way reject with a `reason` each, by default that the connection was lost. */
  close(reason: (() => EtcdError) | undefined): void {
    if (this.#state.kind === 'closed') return
    this.#enter({ kind: 'closed' })
    this.#calls.failAll(reason)
    this.#channels?.close()
  }

  ended(attempt: UnaryAttempt): void {
    this.#calls.attemptEnded(attempt)
    if (this.#draining && this.#calls.count === 0) this.close(undefined)
  }

  streamAnswered(header: ResponseHeader): EtcdError | undefined {
    this.#liveness.streamAnswered()
    return this.#observe(header, 0)
  }

  streamEnded(stream: StreamCall): void {
    this.#calls.streamEnded(stream)
  }

  answered(attempt: UnaryAttempt, header: ResponseHeader | undefined): EtcdError | undefined {
    const now = performance.now()
    this.#liveness.answered(now)
    this.#latency.sample(now - attempt.sentAt, attempt.context.progress.responseBytes)
    const refused = this.#observe(header, attempt.floor)
    // What a member tells about itself is true in whatever cluster it is, and a token that it gives is for that one.
    const isForAny = attempt.method === methods.Maintenance.Status || attempt.method === methods.Auth.Authenticate
    return isForAny ? undefined : refused
  }

  failed(error: EtcdError): void {
    if (!isTransportCode(error.code)) this.#liveness.answered(performance.now())
    if (error.code === 'NOT_SUPPORTED_FOR_LEARNER') this.#becomeLearner()
    else if (error.code === 'NO_LEADER' && this.#state.kind === 'ready') this.eject('no leader')
    else if (error.code === 'DEADLINE_EXCEEDED') this.check() // Short calls end before any of them notices the silence.
  }

  onState(state: ChannelState): void {
    switch (state.kind) {
      case 'connected':
        // The address may lead to another member now.
        this.#clusterId = undefined
        this.#liveness.connected()
        void this.#probe(0, undefined)
        return
      case 'connecting':
        // Why the last attempt failed is known until one succeeds.
        this.#enter({ kind: 'connecting', error: this.#connectError() })
        return
      case 'failed':
        this.#enter({ kind: 'connecting', error: state.reason ?? this.#connectError() })
    }
  }

  /** A member that is shut down in order takes no new calls, but serves the streams that it has for some seconds. */
  onStreamsDraining(): void {
    this.#host.silenceFound(this)
    this.#calls.notifyDraining()
  }

  async #probe(ejections: number, after: EjectReason | undefined): Promise<void> {
    this.#enter({ kind: 'probing', ejections, after })
    const probing = this.#state
    try {
      const status = await this.#prober.status()
      if (this.#state === probing) this.#onProbeAnswered(status)
    } catch (error) {
      if (this.#state !== probing) return
      if (!isRefusal(error)) this.eject('unresponsive')
      else if (this.#isOfOtherCluster()) this.eject('other cluster')
      else this.#enter({ kind: 'ready' })
    }
  }

  /** Takes in the header of an answer. Where the status is refused, that of any other one says whose member it is. */
  #observe(header: ResponseHeader | undefined, floor: number): EtcdError | undefined {
    const refused = this.#host.identity.observe(header, this.url, floor)
    if (refused?.code !== 'CLUSTER_CHANGED') return refused
    this.#clusterId = header?.clusterId
    this.#host.otherClusterFound(this)
    if (this.#state.kind === 'ready' && this.#isOfOtherCluster()) this.eject('other cluster')
    return refused
  }

  #isOfOtherCluster(): boolean {
    return this.#clusterId !== undefined && this.#clusterId !== this.#host.identity.clusterId
  }

  #onProbeAnswered(status: StatusResponse): void {
    this.#onStatus(status)
    if (!this.#host.identity.admits(status.header)) this.eject('other cluster')
    else if (status.leader === undefined && !status.isLearner) this.eject('no leader')
    else this.#enter({ kind: 'ready' })
  }

  #onStatus(status: StatusResponse): void {
    this.#status = status
    this.#clusterId = status.header?.clusterId
    this.#knownLearner = status.isLearner
    this.#refreshedAt = performance.now()
    this.#host.statusReceived(this, status)
    if (this.#state.kind === 'ready' && status.leader === undefined && !status.isLearner) this.eject('no leader')
  }

  #becomeLearner(): void {
    if (this.#knownLearner) return
    this.#knownLearner = true
    this.#host.stateChanged(this, this.#state)
  }

  #connectError(): string | undefined {
    return this.#state.kind === 'connecting' ? this.#state.error : undefined
  }

  #openChannels(): void {
    this.#enter({ kind: 'connecting', error: this.#connectError() })
    const { endpoint } = this
    const credentials = (): Credentials => this.#host.credentials(endpoint)
    this.#channels = openMemberChannels({ endpoint, credentials, settings: this.#host.settings }, this)
    this.#channels.unary.connect()
  }

  #createLiveness(): ConnectionLiveness {
    const channels = (): MemberChannels | undefined => this.#channels
    return new ConnectionLiveness({
      get channels() {
        return channels()
      },
      calls: this.#calls,
      latency: this.#latency,
      probe: (over) => this.#sendProbe(over),
      verified: () => this.#host.stateChanged(this, this.#state),
      silent: (over) => this.#onSilent(over),
    })
  }

  #sendProbe(over: 'unary' | 'streams'): void {
    const streams = this.#channels?.separateStreamChannel
    if (over === 'unary') void this.refresh()
    else if (streams !== undefined) this.#prober.ping(streams)
  }

  #onSilent(over: 'unary' | 'streams'): void {
    if (over === 'unary') this.eject('unresponsive')
    else this.#calls.failStreams(undefined)
    this.#host.silenceFound(this)
  }

  /** The path may be gone for good while the member lives: another connection is tried beside the silent one. */
  #abandonSilent(ejections: number): void {
    this.#channels?.unary.replaceConnection()
    this.#channels?.separateStreamChannel?.replaceConnection()
    if (ejections > maxUnansweredProbes) this.#calls.failAll(undefined)
    else this.#calls.failRepeatable()
  }

  #send<Request, Response>(
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
    floor: number,
  ): Promise<Response> {
    const channel = this.#channels?.unary
    if (channel === undefined) return Promise.reject(this.#notConnected())
    if (this.#calls.count === 0) this.#liveness.callsStarted()
    const attempt = new UnaryAttempt(this, method, context, floor)
    this.#calls.addAttempt(attempt as UnaryAttempt)
    return attempt.run(channel, message)
  }

  #notConnected(): EtcdError {
    const init = { code: 'NOT_CONNECTED', effect: 'none', retryable: true, endpoint: this.url } as const
    return new EtcdError('not connected', init)
  }

  #enter(state: ConnectionState): void {
    const previous = this.#state
    if (previous.kind === 'closed') return
    if (previous.kind === 'ejected') clearTimeout(previous.timer)
    this.#state = state
    this.#host.stateChanged(this, previous)
  }
}
