import { EtcdError } from '../core/errors.js'
import type { ResponseHeader, StatusResponse } from '../gen/messages.js'
import { type Method, methods } from '../wire/methods.js'
import type { ChannelSettings } from './channel-settings.js'
import type { ClusterIdentity } from './cluster-identity.js'
import type { ConnectionState, Role } from './connection-state.js'
import type { Credentials } from './credentials.js'
import { type EjectReason, ejectionMs } from './ejection.js'
import type { Endpoint } from './endpoint.js'
import { isTransportCode } from './grpc-status.js'
import { type Lanes, type LanesListener, openLanes } from './lanes.js'
import { Latency } from './latency.js'
import { LifeSigns } from './life-signs.js'
import { askStatus, isRefusal, type ProbeHost } from './member-probe.js'
import { OpenCalls } from './open-calls.js'
import { StreamCall, type StreamInit, type StreamOwner } from './stream-call.js'
import { StreamPlaces } from './stream-places.js'
import { type CallContext, type CallMetadata, callContext } from './transport.js'
import { type AttemptOwner, UnaryAttempt } from './unary-attempt.js'
import type { LaneState, UnaryLane } from './unary-lane.js'

/** What a connection needs from the set it belongs to. */
export interface ConnectionHost {
  readonly identity: ClusterIdentity
  readonly settings: ChannelSettings
  credentials(endpoint: Endpoint): Credentials
  /** Metadata for the probes: the token, where there is one. */
  probeMetadata(): CallMetadata
  /** The member answers, but not the calls with this token. Returns whether another one is got. */
  tokenHeldBack(token: string): boolean
  /** The member turned out to belong to another cluster than the client's. */
  foundStranger(connection: Connection): void
  /** The connection entered a new state. */
  stateChanged(connection: Connection, previous: ConnectionState): void
  /** The member told who it is, or who leads. */
  learned(connection: Connection, status: StatusResponse): void
}

const unlimited = { maxStreams: Number.POSITIVE_INFINITY, unaryPlaces: 0 }
const probeTimeoutMs = 1000
/** How long a member that answers may keep a call with a token waiting, beside the time of some round trips. */
const heldBackMs = 400
/** Probes in a row that a silent member may leave unanswered before the calls on it are given up. */
const patienceProbes = 3

/**
 * One endpoint: its lanes, its health and the calls under way on it.
 *
 *     idle → connecting → probing → ready ⇄ ejected
 *
 * The lane of unary calls moves it between `connecting` and connected, again and again, on its own backoff. A new connection is probed by
 * one Status call before it gets any traffic, which tells the member's id, role, version, leader and cluster. `ready`
 * ends when the connection is lost, when the member says that it has no leader, or when `tick` finds it silent. An
 * ejected member is probed again after a backoff, and gets traffic when it answers well. Calls go to ejected members only
 * where there is no other choice, which is the manager's decision.
 */
export class Connection implements AttemptOwner, StreamOwner, LanesListener {
  readonly endpoint: Endpoint
  readonly #host: ConnectionHost
  readonly #calls: OpenCalls
  #lanes: Lanes | undefined
  #state: ConnectionState = { kind: 'idle' }
  readonly #signs = new LifeSigns()
  readonly #latency = new Latency()
  #status: StatusResponse | undefined
  #clusterId: string | undefined
  #knownLearner = false
  #refreshedAt = Number.NEGATIVE_INFINITY
  #draining = false

  constructor(endpoint: Endpoint, host: ConnectionHost) {
    this.endpoint = endpoint
    this.#host = host
    this.#calls = new OpenCalls(endpoint.url)
  }

  get url(): string {
    return this.endpoint.url
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Whether a call could be sent now, wise or not. */
  get connected(): boolean {
    return this.#state.kind === 'ready' || this.#state.kind === 'ejected' || this.#state.kind === 'probing'
  }

  get inFlight(): number {
    return this.#calls.inFlight
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

  get role(): Role | undefined {
    if (this.#knownLearner) return 'learner'
    if (this.#status?.leader === undefined) return undefined
    return this.#status.leader === this.memberId ? 'leader' : 'follower'
  }

  /** The places for streams, as far as it is known how many there are. */
  get streamPlaces(): StreamPlaces {
    return new StreamPlaces(this.#lanes?.streamLimit ?? unlimited, this.#calls)
  }

  /** When the member was last asked for its status. */
  get refreshedAt(): number {
    return this.#refreshedAt
  }

  connect(): void {
    if (this.#state.kind !== 'idle') return
    this.#openLanes()
  }

  /** Sends one call. The caller has made sure that the connection is `connected`. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
  ): Promise<Response> {
    const lane = this.#lanes?.unary
    if (lane === undefined || !this.connected) return Promise.reject(this.#notConnected())
    const floor = context.consistent && !context.ownView ? this.#host.identity.revision : 0
    return this.#run(lane, new UnaryAttempt(this, method, context, floor), message)
  }

  /** Opens one stream. Its first sign of trouble, as of everything that follows, is the listener's `onEnd`. */
  stream<Request, Response>(init: StreamInit<Request, Response>): StreamCall<Request, Response> | undefined {
    const lanes = this.#lanes
    if (lanes === undefined || !this.connected || this.#draining) return undefined
    const stream = new StreamCall(this, init)
    this.#calls.addStream(stream as StreamCall)
    stream.start(lanes.streams(), init.metadata)
    return stream
  }

  /** Asks the member for its status and takes in what it says. Failures show in the connection's state, not here. */
  async refresh(): Promise<void> {
    this.#refreshedAt = performance.now()
    try {
      this.#learn(await this.#askStatus())
    } catch {
      // A member that stays silent is noticed by `tick`, a lost connection by its lane.
    }
  }

  /**
   * One tick of the manager's clock, which runs while calls are under way. A member that gives no sign of life for some
   * ticks is asked for its status; if nothing comes then either, it is ejected and the reads that wait for it are given
   * up, to be repeated elsewhere. Slow answers of a member that is alive never lead to this.
   */
  tick(): void {
    if (this.#lanes === undefined) return
    const hasSign = this.#signs.look(this.#lanes.unary)
    if (this.#calls.inFlight === 0 || this.#state.kind !== 'ready') {
      this.#signs.answered()
      return
    }
    const verdict = this.#signs.tick(hasSign, this.#extraTicks())
    if (verdict === 'ask') void this.refresh()
    else if (verdict === 'give up' && performance.now() > this.#calls.largeRequestsUntil) this.eject('unresponsive')
  }

  /** Keeps calls away until a probe, after a backoff, is answered well. */
  eject(reason: EjectReason): void {
    const ejections = (this.#state.kind === 'probing' ? this.#state.ejections : 0) + 1
    const delayMs = ejectionMs(ejections, reason)
    const timer = setTimeout(() => void this.#probe(ejections, reason), delayMs)
    timer.unref()
    this.#enter({ kind: 'ejected', ejections, reason, timer })
    if (reason === 'unresponsive') this.#leaveSilent(ejections)
    if (reason !== 'no leader') this.#calls.giveUpStreams(undefined)
  }

  /** Probes an ejected member now instead of after its backoff. */
  probeNow(): void {
    if (this.#state.kind === 'ejected') void this.#probe(0, this.#state.reason)
  }

  /** Gives up the reads that wait with a token which is held back: they are sent again with another one. */
  giveUpHeldBack(token: string): void {
    this.#calls.giveUpHeldBack(token)
  }

  /** Gives up the proposals that were sent before `raisedAt`, when the term rose: their leader is gone. */
  giveUpProposals(raisedAt: number): void {
    this.#calls.giveUpProposals(raisedAt)
  }

  /** Closes as soon as the calls under way have ended; streams move elsewhere now. */
  drain(): void {
    this.#draining = true
    this.#calls.giveUpStreams(undefined)
    if (this.#calls.inFlight === 0) this.close(undefined)
  }

  /** Ends the connection now; calls under way reject with a `reason` each, by default that the connection was lost. */
  close(reason: (() => EtcdError) | undefined): void {
    if (this.#state.kind === 'closed') return
    this.#enter({ kind: 'closed' })
    this.#calls.giveUpAll(reason)
    this.#lanes?.close()
  }

  ended(attempt: UnaryAttempt): void {
    this.#calls.attemptEnded(attempt)
    if (this.#draining && this.#calls.inFlight === 0) this.close(undefined)
  }

  streamAnswered(header: ResponseHeader): EtcdError | undefined {
    return this.#observe(header, 0)
  }

  streamEnded(stream: StreamCall): void {
    this.#calls.streamEnded(stream)
  }

  answered(attempt: UnaryAttempt, header: ResponseHeader | undefined): EtcdError | undefined {
    this.#signs.answered()
    this.#latency.sample(performance.now() - attempt.sentAt, attempt.context.responseBytes)
    const refused = this.#observe(header, attempt.floor)
    // What a member tells about itself is true in whatever cluster it is, and a token that it gives is for that one.
    const isForAny = attempt.method === methods.Maintenance.Status || attempt.method === methods.Auth.Authenticate
    return isForAny ? undefined : refused
  }

  failed(error: EtcdError): void {
    if (!isTransportCode(error.code)) this.#signs.answered()
    if (error.code === 'NOT_SUPPORTED_FOR_LEARNER') this.#becomeLearner()
    else if (error.code === 'NO_LEADER' && this.#state.kind === 'ready') this.eject('no leader')
  }

  onState(state: LaneState): void {
    switch (state.kind) {
      case 'connected':
        // The address may lead to another member now.
        this.#clusterId = undefined
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
  onStreamsLeaving(): void {
    this.#calls.leaving()
  }

  async #probe(ejections: number, after: EjectReason | undefined): Promise<void> {
    this.#enter({ kind: 'probing', ejections, after })
    const probing = this.#state
    try {
      const status = await this.#askStatus()
      if (this.#state === probing) this.#judge(status)
    } catch (error) {
      if (this.#state !== probing) return
      if (!isRefusal(error)) this.eject('unresponsive')
      else if (this.#isStranger()) this.eject('other cluster')
      else this.#enter({ kind: 'ready' })
    }
  }

  /** Takes in the header of an answer. Where the status is refused, that of any other one says whose member it is. */
  #observe(header: ResponseHeader | undefined, floor: number): EtcdError | undefined {
    const refused = this.#host.identity.observe(header, this.url, floor)
    if (refused?.code !== 'CLUSTER_CHANGED') return refused
    this.#clusterId = header?.clusterId
    this.#host.foundStranger(this)
    if (this.#state.kind === 'ready' && this.#isStranger()) this.eject('other cluster')
    return refused
  }

  #isStranger(): boolean {
    return this.#clusterId !== undefined && this.#clusterId !== this.#host.identity.clusterId
  }

  #judge(status: StatusResponse): void {
    this.#learn(status)
    if (!this.#host.identity.admits(status.header)) this.eject('other cluster')
    else if (status.leader === undefined && !status.isLearner) this.eject('no leader')
    else this.#enter({ kind: 'ready' })
  }

  #learn(status: StatusResponse): void {
    this.#status = status
    this.#clusterId = status.header?.clusterId
    this.#knownLearner = status.isLearner
    this.#refreshedAt = performance.now()
    this.#host.learned(this, status)
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

  #openLanes(): void {
    this.#enter({ kind: 'connecting', error: this.#connectError() })
    const { endpoint } = this
    const credentials = (): Credentials => this.#host.credentials(endpoint)
    this.#lanes = openLanes({ endpoint, credentials, settings: this.#host.settings }, this)
    this.#lanes.unary.connect()
  }

  /** The path may be gone for good while the member lives: another connection is tried beside the silent one. */
  #leaveSilent(ejections: number): void {
    this.#lanes?.unary.replace()
    this.#lanes?.separateStreams?.replace()
    if (ejections > patienceProbes) this.#calls.giveUpAll(undefined)
    else this.#calls.giveUpReads()
  }

  #run<Request, Response>(
    lane: UnaryLane,
    attempt: UnaryAttempt<Request, Response>,
    message: Buffer,
  ): Promise<Response> {
    if (this.#calls.inFlight === 0) this.#signs.answered()
    this.#calls.addAttempt(attempt as UnaryAttempt)
    return attempt.run(lane, message)
  }

  #askStatus(): Promise<StatusResponse> {
    const host: ProbeHost = {
      call: (method, request, metadata, signal) => this.#ask(method, request, metadata, signal),
      patienceMs: heldBackMs + this.#latency.fourTimesMs,
      heldBack: (token) => {
        // The next token is held back like the one before: the member itself is behind.
        if (!this.#host.tokenHeldBack(token)) this.eject('unresponsive')
      },
    }
    return askStatus(host, this.#host.probeMetadata())
  }

  #ask<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: CallMetadata,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const lane = this.#lanes?.unary
    if (lane === undefined) return Promise.reject(this.#notConnected())
    const context = callContext({ signal }, {})
    context.metadata = metadata
    context.deadlineAt = context.startedAt + Math.max(probeTimeoutMs, this.#latency.fourTimesMs)
    return this.#run(lane, new UnaryAttempt(this, method, context, 0), method.encode(request))
  }

  #notConnected(): EtcdError {
    const init = { code: 'NOT_CONNECTED', effect: 'none', retryable: true, endpoint: this.url } as const
    return new EtcdError('not connected', init)
  }

  /** A far member gets the time of some round trips more to answer. */
  #extraTicks(): number {
    return Math.ceil(this.#latency.fourTimesMs / 100)
  }

  #enter(state: ConnectionState): void {
    const previous = this.#state
    if (previous.kind === 'closed') return
    if (previous.kind === 'ejected') clearTimeout(previous.timer)
    this.#state = state
    this.#host.stateChanged(this, previous)
  }
}
