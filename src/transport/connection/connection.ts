import { EtcdError } from '../../core/errors.js'
import type { ResponseHeader, StatusResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { isTransportCode } from '../grpc-status.js'
import { StreamPlaces } from '../stream-slots.js'
import type { CallContext } from '../transport.js'
import type { LaneState } from '../unary-channel.js'
import type { ConnectionHost } from './connection-host.js'
import { type ConnectionState, ejectedFor, type Role } from './connection-state.js'
import { type EjectReason, ejectionMs } from './ejection.js'
import { Latency } from './latency.js'
import { type Lanes, type LanesListener, openLanes } from './member-channels.js'
import { isRefusal } from './member-probe.js'
import { MemberQuestions } from './member-questions.js'
import { OpenCalls } from './open-calls.js'
import { Pulse } from './pulse.js'
import { StreamCall, type StreamInit, type StreamOwner } from './stream-call.js'
import { type AttemptOwner, UnaryAttempt } from './unary-attempt.js'

const unlimited = { maxStreams: Number.POSITIVE_INFINITY, unaryPlaces: 0 }
/** Probes in a row that a silent member may leave unanswered before the calls on it are given up. */
const patienceProbes = 3

/**
 * One endpoint: its lanes, its health and the calls under way on it.
 *
 *     idle → connecting → probing → ready ⇄ ejected
 *
 * The channel of unary calls moves it between `connecting` and connected, on its own backoff. One Status call probes a new connection
 * before it gets any traffic. `ready` ends when the connection is lost, when the member has no leader, or when `tick` finds it
 * silent. An ejected member is probed again after a backoff, and gets traffic when it answers well. Calls go to ejected
 * members only where there is no other choice, which is the manager's decision.
 */
export class Connection implements AttemptOwner, StreamOwner, LanesListener {
  readonly endpoint: Endpoint
  readonly #host: ConnectionHost<Connection>
  readonly #calls: OpenCalls
  #lanes: Lanes | undefined
  #state: ConnectionState = { kind: 'idle' }
  readonly #pulse: Pulse
  readonly #questions: MemberQuestions
  readonly #latency = new Latency()
  #status: StatusResponse | undefined
  #clusterId: string | undefined
  #knownLearner = false
  #refreshedAt = Number.NEGATIVE_INFINITY
  #draining = false

  constructor(endpoint: Endpoint, host: ConnectionHost<Connection>) {
    this.endpoint = endpoint
    this.#host = host
    this.#calls = new OpenCalls(endpoint.url)
    this.#pulse = this.#makePulse()
    this.#questions = new MemberQuestions({
      host,
      latency: this.#latency,
      send: (method, request, context) => this.#send(method, method.encode(request), context, 0),
      behind: () => this.eject('unresponsive'),
    })
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

  /** Whether something is waited for, so that ticks are needed. */
  get isWaiting(): boolean {
    return this.#pulse.isWaiting
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
    if (!this.connected) return Promise.reject(this.#notConnected())
    const floor = context.consistent && !context.ownView ? this.#host.identity.revision : 0
    return this.#send(method, message, context, floor)
  }

  /** Opens one stream. Its first sign of trouble, as of everything that follows, is the listener's `onEnd`. */
  stream<Request, Response>(init: StreamInit<Request, Response>): StreamCall<Request, Response> | undefined {
    const lanes = this.#lanes
    if (lanes === undefined || !this.connected || this.#draining) return undefined
    const stream = new StreamCall(this, init)
    if (this.#pulse.doubtsStreams(performance.now())) this.#host.foundSilent(this)
    this.#calls.addStream(stream as StreamCall)
    stream.start(lanes.streams(), init.metadata)
    return stream
  }

  /** Asks the member for its status and takes in what it says. Failures show in the connection's state, not here. */
  async refresh(): Promise<void> {
    this.#refreshedAt = performance.now()
    try {
      this.#learn(await this.#questions.status())
    } catch {
      // A member that stays silent is noticed by `tick`, a lost connection by its lane.
    }
  }

  /** Whether what cannot be sent twice may have to wait until the member has given a sign of life. */
  isDoubtful(now: number): boolean {
    const reason = ejectedFor(this.#state)
    return reason === 'unresponsive' || (this.#state.kind === 'ready' && this.#pulse.isDoubtful(now))
  }

  /** Asks a healthy member whether it is alive, unless it has just shown that. If it is silent, it is ejected. */
  check(): void {
    if (this.#state.kind === 'ready') this.#pulse.check()
  }

  /**
   * One tick of the manager's clock, which runs while something is waited for. A member that gives no sign of life for some
   * ticks is asked for its status; if nothing comes then either, it is ejected and the reads that wait for it are given
   * up, to be repeated elsewhere. Slow answers of a member that is alive never lead to this.
   */
  tick(): void {
    if (this.#state.kind === 'ready') this.#pulse.tick()
    else this.#pulse.rest()
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
    this.#pulse.streamAnswered()
    return this.#observe(header, 0)
  }

  streamEnded(stream: StreamCall): void {
    this.#calls.streamEnded(stream)
  }

  answered(attempt: UnaryAttempt, header: ResponseHeader | undefined): EtcdError | undefined {
    const now = performance.now()
    this.#pulse.answered(now)
    this.#latency.sample(now - attempt.sentAt, attempt.context.responseBytes)
    const refused = this.#observe(header, attempt.floor)
    // What a member tells about itself is true in whatever cluster it is, and a token that it gives is for that one.
    const isForAny = attempt.method === methods.Maintenance.Status || attempt.method === methods.Auth.Authenticate
    return isForAny ? undefined : refused
  }

  failed(error: EtcdError): void {
    if (!isTransportCode(error.code)) this.#pulse.answered(performance.now())
    if (error.code === 'NOT_SUPPORTED_FOR_LEARNER') this.#becomeLearner()
    else if (error.code === 'NO_LEADER' && this.#state.kind === 'ready') this.eject('no leader')
    else if (error.code === 'DEADLINE_EXCEEDED') this.check() // Short calls end before any of them notices the silence.
  }

  onState(state: LaneState): void {
    switch (state.kind) {
      case 'connected':
        // The address may lead to another member now.
        this.#clusterId = undefined
        this.#pulse.connected()
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
    this.#host.foundSilent(this)
    this.#calls.leaving()
  }

  async #probe(ejections: number, after: EjectReason | undefined): Promise<void> {
    this.#enter({ kind: 'probing', ejections, after })
    const probing = this.#state
    try {
      const status = await this.#questions.status()
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

  #makePulse(): Pulse {
    const lanes = (): Lanes | undefined => this.#lanes
    return new Pulse({
      get lanes() {
        return lanes()
      },
      calls: this.#calls,
      latency: this.#latency,
      ask: (over) => this.#ask(over),
      trusted: () => this.#host.stateChanged(this, this.#state),
      silent: (over) => this.#isSilent(over),
    })
  }

  #ask(over: 'unary' | 'streams'): void {
    const streams = this.#lanes?.separateStreams
    if (over === 'unary') void this.refresh()
    else if (streams !== undefined) this.#questions.life(streams)
  }

  #isSilent(over: 'unary' | 'streams'): void {
    if (over === 'unary') this.eject('unresponsive')
    else this.#calls.giveUpStreams(undefined)
    this.#host.foundSilent(this)
  }

  /** The path may be gone for good while the member lives: another connection is tried beside the silent one. */
  #leaveSilent(ejections: number): void {
    this.#lanes?.unary.replace()
    this.#lanes?.separateStreams?.replace()
    if (ejections > patienceProbes) this.#calls.giveUpAll(undefined)
    else this.#calls.giveUpReads()
  }

  #send<Request, Response>(
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
    floor: number,
  ): Promise<Response> {
    const lane = this.#lanes?.unary
    if (lane === undefined) return Promise.reject(this.#notConnected())
    if (this.#calls.inFlight === 0) this.#pulse.begin()
    const attempt = new UnaryAttempt(this, method, context, floor)
    this.#calls.addAttempt(attempt as UnaryAttempt)
    return attempt.run(lane, message)
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
