import { shareable } from '../../core/abort.js'
import { copyOf, EtcdError, InvalidArgumentError } from '../../core/errors.js'
import type { StatusResponse } from '../../protobuf/generated/messages.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import type { CallContext, CallMetadata, Route } from '../transport.js'
import { type ClusterFollowed, ClusterFollower, type FollowerHost } from './cluster-follower.js'
import { ClusterIdentity } from './cluster-identity.js'
import { Connection } from './connection.js'
import { type EventSink, reasonOf, type StateChange, StateReporter } from './connection-events.js'
import type { ConnectionHost } from './connection-host.js'
import type { ConnectionState, MemberRole } from './connection-state.js'
import { type EndpointStatus, statusOf } from './endpoint-status.js'
import { Patience } from './patience.js'
import { Picker } from './picker.js'
import { TickClock } from './tick-clock.js'
import { WaitingCalls } from './waiting-calls.js'

/** What a manager is created with. */
export interface ConnectionManagerOptions {
  readonly events: EventSink
  readonly endpoints: readonly Endpoint[]
  readonly settings: ChannelSettings
  readonly connectTimeoutMs: number
  /** Discovers the endpoints when the first call is made, where none are configured. */
  readonly discover: (() => Promise<readonly Endpoint[]>) | undefined
  readonly credentials: (endpoint: Endpoint) => Credentials
  readonly probeMetadata: () => CallMetadata
  /** Called with a token whose calls a member does not answer. Returns whether the token is being replaced. */
  readonly onTokenStalled?: ((token: string) => boolean) | undefined
  /** Called for every change of a connection's state. */
  readonly onStateChange?: ((change: StateChange) => void) | undefined
}

type ManagerState =
  | { readonly kind: 'idle' }
  /** Connecting for the first time: calls wait until all members are ready or have failed, or a short grace period is over. */
  | { readonly kind: 'opening'; grace: NodeJS.Timeout | undefined }
  | { readonly kind: 'open' }
  | { readonly kind: 'closed' }

/** How long calls wait for the other members after the first is ready, so that the first calls are balanced too. */
const openingGraceMs = 150
/** How long a proposal in flight may take after an election: one that was not lost is answered within a few milliseconds. */
const electionGraceMs = 300
/** Age at which the members' status is requested again when a route depends on roles or latencies. */
const staleStatusMs = 10_000
/** Age at which the status of a learner is requested again, while calls are made. */
const staleLearnerMs = 1000

/**
 * All connections of one client: picks one for each call, checks their liveness while calls are in flight, and replaces them
 * when the endpoints change.
 */
export class ConnectionManager implements ConnectionHost<Connection>, FollowerHost {
  readonly events: EventSink
  readonly identity: ClusterIdentity
  readonly settings: ChannelSettings
  readonly patience = new Patience()
  readonly #options: ConnectionManagerOptions
  readonly #picker = new Picker()
  readonly #waiting = new WaitingCalls()
  #connections: readonly Connection[]
  #seeds: readonly Endpoint[]
  /** The connections of former endpoints that still have calls in flight. */
  readonly #draining = new Set<Connection>()
  readonly #reporter: StateReporter
  readonly #follower = new ClusterFollower(this)
  #state: ManagerState = { kind: 'idle' }
  readonly #closing = new AbortController()
  readonly #clock = new TickClock(
    () => this.#all().some(({ needsTicks }) => needsTicks),
    (now) => this.#tick(now),
  )
  #leader: string | undefined
  #proposalsFailedAt = Number.NEGATIVE_INFINITY

  constructor(options: ConnectionManagerOptions) {
    this.#options = options
    this.events = options.events
    this.#reporter = new StateReporter(options.events, options.onStateChange)
    this.settings = options.settings
    this.identity = new ClusterIdentity({
      clusterChanged: (endpoint, expected, actual) =>
        this.events.emit('clusterChanged', { endpoint, expected, actual }),
      revisionRewound: (endpoint, seen, actual) => {
        this.events.emit('revisionRewound', { endpoint, seen, actual })
        this.refreshAll()
      },
      termRaised: () => this.refreshAll(),
    })
    this.#seeds = options.endpoints
    this.#connections = options.endpoints.map((endpoint) => new Connection(endpoint, this))
  }

  get connections(): readonly Connection[] {
    return this.#connections
  }

  get seedConnections(): readonly Connection[] {
    return this.#connections.filter(({ url }) => this.#seeds.some((seed) => seed.url === url))
  }

  /** The last change to another cluster, if there was one. */
  get lastFollowed(): ClusterFollowed | undefined {
    return this.#follower.last
  }

  get endpoints(): readonly Endpoint[] {
    return this.#connections.map(({ endpoint }) => endpoint)
  }

  /** Aborts when the manager is closed. */
  get closing(): AbortSignal {
    return shareable(this.#closing.signal)
  }

  /** The endpoints from the caller or from DNS, without those that members advertise. */
  get seeds(): readonly Endpoint[] {
    return this.#seeds
  }

  status(): EndpointStatus[] {
    return this.#connections.map(statusOf)
  }

  /**
   * Why no member is healthy: the cause of a wait that timed out. `undefined` while a member is healthy, and before the first
   * call.
   */
  unavailability(): EtcdError | undefined {
    const states = this.#connections.map(({ state }) => state)
    const isWanted = this.#state.kind === 'opening' || this.#state.kind === 'open'
    if (!isWanted || states.some(({ kind }) => kind === 'ready')) return undefined
    const hasNoLeader = states.some((state) => state.kind !== 'closed' && reasonOf(state) === 'no leader')
    return hasNoLeader ? this.#unreachable('NO_LEADER', 'no member has a leader') : this.#notConnected()
  }

  /** The role of the member at an endpoint, if known. */
  roleOf(endpoint: string): MemberRole | undefined {
    return this.#connections.find(({ url }) => url === endpoint)?.role
  }

  /** The connection for this call; `undefined` if the call has to wait for one. */
  pick(context: CallContext): Connection | undefined {
    const { route, excludedEndpoints } = context
    if (this.#state.kind === 'idle') this.#open()
    if (this.#state.kind !== 'open' && route.endpoint === undefined) return undefined
    if (route.prefer !== undefined) this.#refreshStale()
    if (this.#picker.learners.length > 0) this.#refreshLearners()
    const connection = this.#picker.pick(route, excludedEndpoints)
    if (connection === undefined) return undefined
    this.#clock.start()
    return context.repeatable || !connection.isSuspect(performance.now()) ? connection : this.#pickVerified(context)
  }

  /** Waits for a connection for this call, up to its deadline, its signal and `maxMs`. */
  wait(context: CallContext, maxMs: number = this.#options.connectTimeoutMs): Promise<Connection> {
    if (this.#state.kind === 'closed') return Promise.reject(closedError())
    const { route } = context
    if (route.endpoint !== undefined && !this.#connections.some((c) => c.url === route.endpoint)) {
      return Promise.reject(new InvalidArgumentError(`\`endpoint\` must be one of the client's, got ${route.endpoint}`))
    }
    const waitMs = Math.min(maxMs, context.deadlineAt - performance.now())
    return this.#waiting.wait(context, waitMs, () => this.#notConnected())
  }

  /** Whether there is a healthy member that has not failed this call yet. */
  hasUntriedEndpoint(route: Route, excludedEndpoints: ReadonlySet<string>): boolean {
    return this.#picker.hasUntriedEndpoint(route, excludedEndpoints)
  }

  /**
   * Replaces the endpoints. Endpoints that remain keep their connections; on the others, calls in flight may finish. `seeds` are
   * the configured endpoints among them, as opposed to those that members advertise.
   */
  replace(endpoints: readonly Endpoint[], seeds: readonly Endpoint[] = endpoints): void {
    if (this.#state.kind === 'closed') return
    this.#seeds = seeds
    const current = new Map(this.#connections.map((connection) => [connection.url, connection]))
    const next = endpoints.map((endpoint) => current.get(endpoint.url) ?? new Connection(endpoint, this))
    const gone = this.#connections.filter((connection) => !next.includes(connection))
    if (gone.length === 0 && next.length === this.#connections.length) return
    this.#connections = next
    if (this.#state.kind !== 'idle') for (const connection of next) connection.connect()
    for (const connection of gone) this.#draining.add(connection)
    for (const connection of gone) connection.drain()
    this.#changed()
    this.events.emit('endpointsChanged', { endpoints: endpoints.map(({ url }) => url) })
  }

  /** Probes a member that another room suspects to be dead. It is ejected if it stays silent, and its streams fail. */
  suspect(endpoint: string): void {
    for (const connection of this.#connections) if (connection.url === endpoint) connection.check()
    this.#clock.start()
  }

  /** Requests the status of every ready member. */
  refreshAll(): void {
    for (const connection of this.#connections) if (connection.state.kind === 'ready') void connection.refresh()
  }

  /** Closes all connections. Calls in flight and waiting calls reject with `CLOSED`. */
  close(): void {
    if (this.#state.kind === 'closed') return
    if (this.#state.kind === 'opening') clearTimeout(this.#state.grace)
    this.#state = { kind: 'closed' }
    this.#closing.abort()
    this.#clock.stop()
    this.#follower.stop()
    this.#waiting.fail(() => closedError())
    for (const connection of this.#all()) connection.close(() => closedError('unknown'))
  }

  credentials(endpoint: Endpoint): Credentials {
    return this.#options.credentials(endpoint)
  }

  probeMetadata(): CallMetadata {
    return this.#options.probeMetadata()
  }

  stateChanged(connection: Connection, previous: ConnectionState): void {
    if (connection.state.kind === 'closed') this.#draining.delete(connection)
    if (this.#state.kind === 'closed' || !this.#connections.includes(connection)) return
    this.#changed()
    this.#reporter.stateChanged(connection, previous)
    this.#follower.check()
  }

  /** Whatever silenced one connection, for example a firewall, may have silenced others. */
  silenceFound(): void {
    if (this.#state.kind === 'closed') return
    for (const connection of this.#connections) connection.check()
    this.#clock.start()
  }

  otherClusterFound(connection: Connection): void {
    if (this.#connections.includes(connection)) this.#follower.found(connection)
  }

  followed(change: ClusterFollowed): void {
    this.events.emit('clusterFollowed', change)
  }

  /** Whether the call has a token that has been replaced since. */
  hasStaleToken({ progress: { token } }: CallContext): boolean {
    return token !== undefined && token !== this.probeMetadata().token
  }

  tokenStalled(token: string): boolean {
    if (this.#options.onTokenStalled?.(token) !== true) return false
    for (const connection of this.#all()) connection.failCallsWithToken(token)
    return true
  }

  statusReceived(connection: Connection, status: StatusResponse): void {
    this.#changed()
    this.#follower.found(connection)
    const memberId = status.leader
    // A member that has not heard of the election yet reports the former leader.
    if (status.raftTerm < this.identity.raftTerm) return
    if (memberId === undefined || memberId === this.#leader || !this.identity.admits(status.header)) return
    const first = this.#leader === undefined
    this.#leader = memberId
    if (!first) this.events.emit('leaderChanged', { memberId, raftTerm: status.raftTerm })
  }

  #open(): void {
    const opening: ManagerState = { kind: 'opening', grace: undefined }
    this.#state = opening
    for (const connection of this.#connections) connection.connect()
    if (this.#connections.length > 0 || this.#options.discover === undefined) return
    this.#options.discover().then(
      (endpoints) => {
        if (this.#connections.length === 0) this.replace(endpoints)
      },
      (error: unknown) => {
        // The caller has set endpoints meanwhile: calls wait for those.
        if (this.#connections.length > 0) return
        // The next call tries discovery again.
        if (this.#state === opening) this.#state = { kind: 'idle' }
        this.#waiting.fail(() => copyOf(error))
      },
    )
  }

  /** Updates the picker, and gives connections to waiting calls. */
  #changed(): void {
    this.#picker.update(this.#connections)
    if (this.#state.kind === 'opening') this.#settle(this.#state)
    if (this.#state.kind === 'idle' || this.#state.kind === 'closed') return
    this.#waiting.serve((context) => this.pick(context))
  }

  #settle(opening: Extract<ManagerState, { kind: 'opening' }>): void {
    if (this.#connections.length === 0) return
    const settled = this.#connections.every(({ state }) => isSettled(state))
    if (settled) {
      this.#opened()
      return
    }
    if (opening.grace !== undefined || !this.#connections.some(({ state }) => state.kind === 'ready')) return
    opening.grace = setTimeout(() => this.#opened(), openingGraceMs)
    opening.grace.unref()
  }

  #opened(): void {
    if (this.#state.kind !== 'opening') return
    clearTimeout(this.#state.grace)
    this.#state = { kind: 'open' }
    this.#changed()
  }

  #refreshStale(): void {
    refreshOlder(this.#connections, staleStatusMs)
  }

  /** A learner may have been promoted. */
  #refreshLearners(): void {
    refreshOlder(this.#picker.learners, staleLearnerMs)
  }

  /**
   * A connection that is not suspect, for calls that are not repeatable. Where all are suspect, they are probed, and the call
   * waits for the first one from which bytes come.
   */
  #pickVerified({ route, excludedEndpoints }: CallContext): Connection | undefined {
    const now = performance.now()
    const doubtful = new Set(excludedEndpoints)
    for (const connection of this.#connections) {
      if (!connection.isSuspect(now)) continue
      doubtful.add(connection.url)
      connection.check()
    }
    const connection = this.#picker.pick(route, doubtful)
    if (connection === undefined || connection.isSuspect(now)) return undefined
    // Waiting for a probe is better than an endpoint that has already failed this call.
    return excludedEndpoints?.has(connection.url) === true && this.#picker.hasUntriedEndpoint(route, excludedEndpoints)
      ? undefined
      : connection
  }

  #tick(now: number): void {
    for (const connection of this.#all()) connection.tick()
    this.#failProposals(now)
  }

  #failProposals(now: number): void {
    const raisedAt = this.identity.termRaisedAt
    if (raisedAt <= this.#proposalsFailedAt || now - raisedAt < electionGraceMs) return
    this.#proposalsFailedAt = raisedAt
    for (const connection of this.#all()) connection.failProposals(raisedAt)
    // Members that learned of the election late have reported the former leader.
    this.refreshAll()
  }

  #all(): readonly Connection[] {
    return [...this.#connections, ...this.#draining]
  }

  #notConnected(): EtcdError {
    return this.#unreachable('NOT_CONNECTED', 'no member could be reached in time')
  }

  #unreachable(code: 'NOT_CONNECTED' | 'NO_LEADER', message: string): EtcdError {
    const reasons = this.#connections.map(({ url, state }) => `${url} (${reasonOf(state) ?? state.kind})`)
    return new EtcdError(`${message}: ${reasons.join(', ')}`, { code, effect: 'none', retryable: true })
  }
}

/** The error of calls on a closed client, and of calls in flight when it closes. */
export function closedError(effect: 'none' | 'unknown' = 'none'): EtcdError {
  return new EtcdError('the client is closed', { code: 'CLOSED', effect })
}

function isSettled(state: ConnectionState): boolean {
  if (state.kind === 'connecting') return state.error !== undefined
  return state.kind !== 'idle' && state.kind !== 'probing'
}

function refreshOlder(connections: readonly Connection[], ageMs: number): void {
  const now = performance.now()
  for (const connection of connections) {
    if (connection.state.kind === 'ready' && now - connection.refreshedAt > ageMs) void connection.refresh()
  }
}
