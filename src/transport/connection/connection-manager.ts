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
import { Picker } from './picker.js'
import { WaitingCalls } from './waiting-calls.js'

/** What a manager is made with. */
export interface ConnectionManagerOptions {
  readonly events: EventSink
  readonly endpoints: readonly Endpoint[]
  readonly settings: ChannelSettings
  readonly connectTimeoutMs: number
  /** Finds the endpoints when the first call is made, where there are none yet. */
  readonly discover: (() => Promise<readonly Endpoint[]>) | undefined
  readonly credentials: (endpoint: Endpoint) => Credentials
  readonly probeMetadata: () => CallMetadata
  /** Told of a token with which members leave calls unanswered. Returns whether another one is got. */
  readonly onTokenStalled?: ((token: string) => boolean) | undefined
  /** Told of every new state of a connection. */
  readonly onStateChange?: ((change: StateChange) => void) | undefined
}

type ManagerState =
  | { readonly kind: 'idle' }
  /** Connecting for the first time: calls wait until every member has shown how it is, or a short grace is over. */
  | { readonly kind: 'opening'; grace: NodeJS.Timeout | undefined }
  | { readonly kind: 'open' }
  | { readonly kind: 'closed' }

const tickMs = 100
/** How long the first ready member waits for the others, so that traffic is even from the first call on. */
const openingGraceMs = 150
/** Time that a proposal gets to be answered after a leader was elected: one that survived is answered within a few ms. */
const electionGraceMs = 300
/** Age at which what is known of roles and latencies is asked for again, when a route depends on it. */
const staleStatusMs = 10_000

/**
 * All connections of one client: chooses one for each call, watches their health while calls are under way, and replaces
 * them when the endpoints change.
 */
export class ConnectionManager implements ConnectionHost<Connection>, FollowerHost {
  readonly events: EventSink
  readonly identity: ClusterIdentity
  readonly settings: ChannelSettings
  readonly #options: ConnectionManagerOptions
  readonly #picker = new Picker()
  readonly #waiting = new WaitingCalls()
  #connections: readonly Connection[]
  #seeds: readonly Endpoint[]
  /** Those of former endpoints, until the calls under way on them have ended. */
  readonly #draining = new Set<Connection>()
  readonly #reporter: StateReporter
  readonly #follower = new ClusterFollower(this)
  #state: ManagerState = { kind: 'idle' }
  readonly #closing = new AbortController()
  #leader: string | undefined
  #clock: NodeJS.Timeout | undefined
  #tickedAt = 0
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

  /** Aborts when this is closed. */
  get closing(): AbortSignal {
    return shareable(this.#closing.signal)
  }

  /** The endpoints that were given last, by the caller or by DNS, without those that members advertise. */
  get seeds(): readonly Endpoint[] {
    return this.#seeds
  }

  status(): EndpointStatus[] {
    return this.#connections.map(statusOf)
  }

  /**
   * Why nothing can be sent now to a member that is healthy: what a wait that was in vain is explained by. `undefined` while
   * there is one, and while nobody has wanted one.
   */
  unavailability(): EtcdError | undefined {
    const states = this.#connections.map(({ state }) => state)
    const isWanted = this.#state.kind === 'opening' || this.#state.kind === 'open'
    if (!isWanted || states.some(({ kind }) => kind === 'ready')) return undefined
    const hasNoLeader = states.some((state) => state.kind !== 'closed' && reasonOf(state) === 'no leader')
    return hasNoLeader ? this.#unreachable('NO_LEADER', 'no member has a leader') : this.#notConnected()
  }

  /** What the member at an endpoint does, as far as it is known. */
  roleOf(endpoint: string): MemberRole | undefined {
    return this.#connections.find(({ url }) => url === endpoint)?.role
  }

  /** A connection for this call, if there is one now. */
  pick(context: CallContext): Connection | undefined {
    const { route, excludedEndpoints } = context
    if (this.#state.kind === 'idle') this.#open()
    if (this.#state.kind !== 'open' && route.endpoint === undefined) return undefined
    if (route.prefer !== undefined) this.#refreshStale()
    const connection = this.#picker.pick(route, excludedEndpoints)
    if (connection === undefined) return undefined
    this.#startClock()
    return context.repeatable || !connection.isSuspect(performance.now()) ? connection : this.#pickVerified(context)
  }

  /** Waits for a connection for this call, no longer than its deadline, its signal and `maxMs` allow. */
  wait(context: CallContext, maxMs: number = this.#options.connectTimeoutMs): Promise<Connection> {
    if (this.#state.kind === 'closed') return Promise.reject(closedError())
    const { route } = context
    if (route.endpoint !== undefined && !this.#connections.some((c) => c.url === route.endpoint)) {
      return Promise.reject(new InvalidArgumentError(`\`endpoint\` must be one of the client's, got ${route.endpoint}`))
    }
    const waitMs = Math.min(maxMs, context.deadlineAt - performance.now())
    return this.#waiting.wait(context, waitMs, () => this.#notConnected())
  }

  /** Whether a healthy member is left that has not failed this call yet. */
  hasUntriedEndpoint(route: Route, excludedEndpoints: ReadonlySet<string>): boolean {
    return this.#picker.hasUntriedEndpoint(route, excludedEndpoints)
  }

  /**
   * Replaces the endpoints. Those that stay keep their connections; calls under way on the others are let end. `seeds` are
   * those of them that were given, where others are what members advertise.
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

  /** Asks a member whether it is alive. One that does not answer is ejected, with all that runs on its connection. */
  suspect(endpoint: string): void {
    for (const connection of this.#connections) if (connection.url === endpoint) connection.check()
    this.#startClock()
  }

  /** Asks every healthy member anew who it is and who leads. */
  refreshAll(): void {
    for (const connection of this.#connections) if (connection.state.kind === 'ready') void connection.refresh()
  }

  /** Ends all connections; calls under way and calls that wait reject with `CLOSED`. */
  close(): void {
    if (this.#state.kind === 'closed') return
    if (this.#state.kind === 'opening') clearTimeout(this.#state.grace)
    this.#state = { kind: 'closed' }
    this.#closing.abort()
    clearInterval(this.#clock)
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

  /** What has made one connection silent, as a firewall that has forgotten it, may have done so to others. */
  silenceFound(): void {
    if (this.#state.kind === 'closed') return
    for (const connection of this.#connections) connection.check()
    this.#startClock()
  }

  otherClusterFound(connection: Connection): void {
    if (this.#connections.includes(connection)) this.#follower.found(connection)
  }

  followed(change: ClusterFollowed): void {
    this.events.emit('clusterFollowed', change)
  }

  /** Whether the call was given a token that is not in use any more. */
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
    // A member that has not heard of the election yet still names the leader before.
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
      (endpoints) => this.replace(endpoints),
      (error: unknown) => {
        // The next call looks again.
        if (this.#state === opening) this.#state = { kind: 'idle' }
        this.#waiting.fail(() => copyOf(error))
      },
    )
  }

  /** Rebuilds what picks are made from, and serves the calls that were waiting for a change. */
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
    const now = performance.now()
    for (const connection of this.#connections) {
      if (connection.state.kind === 'ready' && now - connection.refreshedAt > staleStatusMs) void connection.refresh()
    }
  }

  /**
   * For what cannot be sent twice. Where the connections have been silent for some seconds, all of them are checked, and the
   * call waits for the first that gives a sign of life.
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
    // Rather wait for a check than go where it has failed before.
    return excludedEndpoints?.has(connection.url) === true && this.#picker.hasUntriedEndpoint(route, excludedEndpoints)
      ? undefined
      : connection
  }

  /** The clock runs while something is waited for, and never holds the process open. */
  #startClock(): void {
    if (this.#clock !== undefined) return
    this.#tickedAt = performance.now()
    this.#clock = setInterval(() => this.#tick(), tickMs)
    this.#clock.unref()
  }

  #tick(): void {
    const now = performance.now()
    const late = now - this.#tickedAt > 2 * tickMs
    this.#tickedAt = now
    const connections = this.#all()
    if (connections.every(({ needsTicks }) => !needsTicks)) {
      clearInterval(this.#clock)
      this.#clock = undefined
      return
    }
    // When this process itself was stalled, answers may lie unread: nobody is judged by such a tick.
    if (late) return
    for (const connection of connections) connection.tick()
    this.#failProposals(now)
  }

  #failProposals(now: number): void {
    const raisedAt = this.identity.termRaisedAt
    if (raisedAt <= this.#proposalsFailedAt || now - raisedAt < electionGraceMs) return
    this.#proposalsFailedAt = raisedAt
    for (const connection of this.#all()) connection.failProposals(raisedAt)
    // Members that heard of the election late have named the leader before when they were asked.
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

/** The error of every call on a client that is closed, or that closes while the call is under way. */
export function closedError(effect: 'none' | 'unknown' = 'none'): EtcdError {
  return new EtcdError('the client is closed', { code: 'CLOSED', effect })
}

function isSettled(state: ConnectionState): boolean {
  if (state.kind === 'connecting') return state.error !== undefined
  return state.kind !== 'idle' && state.kind !== 'probing'
}
