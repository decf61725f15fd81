import { Auth } from '../auth/auth.js'
import type { TokenSource } from '../auth/token-source.js'
import { Cluster } from '../cluster/cluster.js'
import { longestTimerMs } from '../core/abort.js'
import { Emitter } from '../core/emitter.js'
import { InvalidArgumentError, isEtcdError } from '../core/errors.js'
import { printAs, printedBytes } from '../core/printing.js'
import { Repetition } from '../core/repetition.js'
import { assertKnownOptions, oneOf } from '../core/validate.js'
import { Kv } from '../kv/kv.js'
import type { KvService } from '../kv/kv-service.js'
import type { Leases } from '../lease/leases.js'
import { checkHealth } from '../maintenance/check-health.js'
import { Compactor, type CompactorOptions } from '../maintenance/compactor.js'
import type { Health } from '../maintenance/health.js'
import { Maintenance } from '../maintenance/maintenance.js'
import { methods } from '../protobuf/methods.js'
import { ElectionService } from '../server-concurrency/election-service.js'
import { LockService } from '../server-concurrency/lock-service.js'
import type { RangeStreamSource } from '../streams/range-streams.js'
import type { StreamSource } from '../streams/stream-source.js'
import type { ClientStats } from '../telemetry/client-stats.js'
import { startDebugLog } from '../telemetry/debug-log.js'
import { startLogging } from '../telemetry/logger.js'
import { checkCall } from '../transport/call-options.js'
import { type ConnectionManager, closedError } from '../transport/connection/connection-manager.js'
import type { EndpointDirectory } from '../transport/connection/endpoint-directory.js'
import type { EndpointStatus } from '../transport/connection/endpoint-status.js'
import { memberEndpoints } from '../transport/connection/member-sync.js'
import { type Endpoint, parseEndpoints } from '../transport/endpoint.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import type { WatchMultiplexer } from '../watch/watch-multiplexer.js'
import { composeClient, discovered, type PartEvents } from './compose-client.js'
import { optionsFromEnvironment } from './environment.js'
import { Keyspace } from './keyspace.js'
import { type ClientOptions, defaults, optionNames, type ResolvedOptions, resolveOptions } from './options.js'

/** The events of a client. Add listeners with `on()`. */
export interface ClientEvents extends PartEvents {
  /** The endpoints could not be discovered, or the member list could not be read; the old endpoints stay in use. */
  syncFailed: { readonly error: unknown }
  /** The client is closed; the last event. */
  closed: object
}

/** The names of all client events. */
export const eventNames: readonly string[] = Object.keys({
  endpointReady: true,
  endpointEjected: true,
  endpointLost: true,
  endpointsChanged: true,
  leaderChanged: true,
  clusterChanged: true,
  clusterFollowed: true,
  streamLimit: true,
  revisionRewound: true,
  authenticated: true,
  authenticationFailed: true,
  watchLost: true,
  watchResumed: true,
  leaseLost: true,
  keepAliveLost: true,
  keepAliveResumed: true,
  registrationLost: true,
  registrationTaken: true,
  registrationRestored: true,
  registrationFailed: true,
  releaseDelayed: true,
  syncFailed: true,
  closed: true,
} satisfies Record<keyof ClientEvents, true>)

/** What calls are made with below the interface of a client. */
export interface RawParts {
  readonly transport: Transport
  readonly kv: KvService
  readonly streams: StreamSource
}

/** @internal The parts of a client that make calls for which it has no method. */
export let internalsOf: (client: Etcd) => RawParts

const noAuthStats = { authenticated: { first: 0, expiring: 0, rejected: 0 }, failed: 0 }

/**
 * A client of one etcd cluster. It connects to all endpoints on first use, and balances calls over the healthy members.
 * Calls in flight keep the process alive; an idle client does not.
 *
 * @example
 * ```ts
 * await using etcd = new Etcd({ endpoints: ['http://10.0.0.1:2379', 'http://10.0.0.2:2379', 'http://10.0.0.3:2379'] })
 * await etcd.put('config/port', '8080')
 * ```
 */
export class Etcd extends Keyspace implements AsyncDisposable {
  static {
    printAs(this, (client) => client.#printed())
    internalsOf = (client) => ({ transport: client.#transport, kv: client.#kv, streams: client.#streams })
  }
  readonly #options: ResolvedOptions
  readonly #manager: ConnectionManager
  readonly #transport: Transport
  readonly #kv: KvService
  readonly #streams: StreamSource
  readonly #directory: EndpointDirectory
  readonly #rangeStreams: RangeStreamSource
  readonly #tokens: TokenSource | undefined
  readonly #watches: WatchMultiplexer
  readonly #events: Emitter<ClientEvents>
  readonly #stats: () => ClientStats
  readonly #repetitions: Repetition[] = []
  readonly #stopLogging: () => void
  #closing: Promise<void> | undefined
  /** Users and roles, and statistics of this client's logins. */
  readonly auth: Auth
  /** Leases: grant, keep alive, revoke, inspect. */
  readonly lease: Leases
  /** The membership of the cluster. */
  readonly cluster: Cluster
  /** Status, alarms, snapshots, defragmentation and other maintenance. */
  readonly maintenance: Maintenance
  /** The members' Lock service, with the same keys as `lock()`, which offers more. */
  readonly lockService: LockService
  /** The members' Election service, with the same keys as `election()`, which offers more. */
  readonly electionService: ElectionService

  /**
   * Creates a client without connecting.
   *
   * @param input Options, endpoints, or a connection string such as `etcd://10.0.0.1:2379,10.0.0.2:2379/tenant-a/`.
   * @throws `InvalidArgumentError` for invalid options.
   */
  constructor(input: string | ClientOptions) {
    const options = resolveOptions(input)
    warnAboutClearPassword(options.auth, options.endpoints)
    startDebugLog()
    const events = new Emitter<ClientEvents>()
    const parts = composeClient(options, events)
    const { manager, directory, tokens, transport, kv, streams, rangeStreams, watches, leases, stats } = parts
    const prefix = options.namespace ?? Buffer.alloc(0)
    super({ ...parts, identity: manager.identity, user: userOf(options), limits: options, prefix })
    this.#options = options
    this.#events = events
    this.#manager = manager
    this.#tokens = tokens
    this.#transport = transport
    this.#kv = kv
    this.#streams = streams
    this.#directory = directory
    this.#rangeStreams = rangeStreams
    this.#watches = watches
    this.#stats = stats
    this.lease = leases
    this.lockService = new LockService(transport, prefix)
    this.electionService = new ElectionService(transport, streams, prefix)
    this.cluster = new Cluster(transport, directory)
    this.maintenance = new Maintenance({ transport, streams, directory })
    this.auth = new Auth(transport, () => tokens?.stats ?? noAuthStats)
    this.#stopLogging = loggingOf(options, parts.telemetry.client.id)
    this.#repeat(options.memberSyncMs, () => this.#syncMembers())
    this.#repeat(options.discovery?.refreshMs, () => this.#rediscover())
  }

  /**
   * Creates a client from etcdctl's environment variables: `ETCDCTL_ENDPOINTS` (default `127.0.0.1:2379`), `_USER`,
   * `_PASSWORD`, `_CACERT`, `_CERT`, `_KEY`, `_DIAL_TIMEOUT`, `_COMMAND_TIMEOUT` and others.
   *
   * @param overrides Options that take precedence over the environment; one that is `undefined` does not.
   */
  static fromEnv(overrides: ClientOptions = {}, env: Readonly<Record<string, string | undefined>> = process.env): Etcd {
    assertKnownOptions('Etcd.fromEnv()', overrides, optionNames)
    const { endpoints, discovery, ...others } = optionsFromEnvironment(env)
    // An option that is `undefined` is not set: it must not remove certificates or credentials of the environment.
    const set: ClientOptions = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined))
    const isPlaced = set.endpoints !== undefined || set.discovery !== undefined
    return new Etcd({ ...others, ...set, ...(isPlaced ? {} : { endpoints, discovery }) })
  }

  /**
   * Connects now instead of on the first call.
   *
   * @param options `timeoutMs` is the client's `connectTimeoutMs` by default.
   * @throws `NOT_CONNECTED` if no member is reachable in time.
   */
  async connect(options?: CallOptions): Promise<void> {
    checkCall('connect()', options)
    options?.signal?.throwIfAborted()
    const timeoutMs = options?.timeoutMs ?? this.#options.connectTimeoutMs
    const context = callContext({ signal: options?.signal, timeoutMs }, {})
    if (this.#manager.pick(context) !== undefined) return
    try {
      await this.#manager.wait(context, Number.POSITIVE_INFINITY)
    } catch (error) {
      // The error was created by a timer, whose stack does not contain the caller.
      if (isEtcdError(error)) Error.captureStackTrace(error)
      throw error
    }
  }

  /** Returns the current state of each endpoint, without a request. */
  endpoints(): EndpointStatus[] {
    return this.#manager.status()
  }

  /** Returns current statistics: connections, watches, informers, leases. */
  stats(): ClientStats {
    return this.#stats()
  }

  /**
   * Checks the cluster: a linearizable read through every endpoint and the list of alarms, concurrently. An unhealthy
   * cluster is a result, not an error.
   *
   * @param options `timeoutMs` limits the wait for each member, 3000 by default. A member known to refuse connections
   *   adds no delay.
   * @throws `CLOSED`, the reason of `signal`, or an error if the endpoints cannot be discovered.
   */
  health(options?: CallOptions): Promise<Health> {
    if (this.#closing !== undefined) return Promise.reject(closedError())
    const endpoints = (): EndpointStatus[] => this.endpoints()
    return checkHealth({ transport: this.#transport, kv: this.#kv, directory: this.#directory, endpoints }, options)
  }

  /**
   * Starts a compactor, which discards the cluster's history at regular intervals and keeps the last `retainMs` of it.
   * It may run in many processes at once. Failures are events.
   *
   * @throws `InvalidArgumentError` for invalid options.
   */
  compactor(options: CompactorOptions = {}): Compactor {
    const host = {
      // The key belongs to the cluster, not to the client's namespace.
      kv: new Kv({ kv: this.#kv, limits: this.#options, leases: this.lease, rangeStreams: this.#rangeStreams }),
      closing: this.#manager.closing,
      onRestored: (listener: () => void) => this.#onRestored(listener),
    }
    return new Compactor(host, options)
  }

  /**
   * Replaces the endpoints. Endpoints that stay keep their connections; calls in flight on removed ones finish there.
   * With `discovery` or `memberSync`, the list applies until the next refresh.
   *
   * @throws `InvalidArgumentError` for invalid endpoints, or if they would move the client from TLS to plain text;
   *   `CLOSED` after `close()`.
   */
  setEndpoints(endpoints: string | readonly string[]): void {
    if (this.#closing !== undefined) throw closedError()
    this.#manager.replace(this.#keepingTls(parseEndpoints(endpoints, { hasTls: this.#options.hasTls })))
  }

  /**
   * Adds a listener for an event.
   *
   * @returns A function that removes the listener.
   */
  on<Name extends keyof ClientEvents>(event: Name, listener: (payload: ClientEvents[Name]) => void): () => void {
    oneOf('event', event, eventNames)
    return this.#events.on(event, listener)
  }

  /**
   * Closes the client: calls and watches in flight reject with `CLOSED`, as do later calls, and nothing of the client
   * keeps the process alive. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #printed(): object {
    const { namespace, diagnostics } = this.#options
    return {
      name: diagnostics.name === defaults.name ? undefined : diagnostics.name,
      endpoints: this.endpoints().map(({ endpoint, state, role }) => [endpoint, state, role].filter(Boolean).join(' ')),
      namespace: namespace && printedBytes(namespace),
      user: userOf(this.#options),
      revision: this.#manager.identity.revision,
      closed: this.#closing === undefined ? undefined : true,
    }
  }

  #onRestored(listener: () => void): () => void {
    const leave = [this.#events.on('clusterChanged', listener), this.#events.on('revisionRewound', listener)]
    return () => {
      for (const leaveOne of leave) leaveOne()
    }
  }

  /** Prevents a list of endpoints from moving traffic, including tokens, from TLS to plain text. */
  #keepingTls(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    const plain = endpoints.find(({ tls }) => !tls)
    if (plain === undefined || !this.#manager.endpoints.some(({ tls }) => tls)) return endpoints
    throw new InvalidArgumentError(`\`endpoints\` must use https, got ${plain.url}: this client already uses TLS`)
  }

  async #close(): Promise<void> {
    for (const repetition of this.#repetitions) repetition.stop()
    this.#watches.close()
    await this.lease.close()
    this.#tokens?.close()
    this.#manager.close()
    this.#events.emit('closed', {})
    this.#stopLogging()
    this.#events.clear()
  }

  /** Runs `task` about every `intervalMs` without keeping the process alive; failures are events. */
  #repeat(intervalMs: number | undefined, task: () => Promise<void>): void {
    if (intervalMs === undefined || intervalMs > longestTimerMs) return
    const run = (): void => {
      task().catch((error: unknown) => this.#events.emit('syncFailed', { error }))
    }
    this.#repetitions.push(new Repetition(intervalMs, run))
  }

  async #syncMembers(): Promise<void> {
    const request = { linearizable: true }
    const { members } = await this.#transport.unary(
      methods.Cluster.MemberList,
      request,
      callContext({}, { repeatable: true }),
    )
    const { seeds } = this.#manager
    this.#manager.replace(memberEndpoints(members, seeds), seeds)
  }

  async #rediscover(): Promise<void> {
    if (this.#options.discovery === undefined) return
    const endpoints = this.#keepingTls(await discovered(this.#options.discovery, this.#options.hasTls))
    warnAboutClearPassword(this.#options.auth, endpoints)
    this.#manager.replace(endpoints)
  }
}

function loggingOf({ log, diagnostics }: ResolvedOptions, clientId: number): () => void {
  if (log === undefined) return () => {}
  return startLogging({ ...log, clientId, reportsSlowCalls: Number.isFinite(diagnostics.slowCallMs) })
}

function userOf({ auth }: ResolvedOptions): string | undefined {
  return auth !== undefined && 'username' in auth ? auth.username : undefined
}

let warnedAboutClearPassword = false

/** Once per process, like Node's own warnings. */
function warnAboutClearPassword(auth: ResolvedOptions['auth'], endpoints: readonly Endpoint[]): void {
  const clear = endpoints.find(({ tls, target }) => !tls && !target.startsWith('unix:'))
  if (warnedAboutClearPassword || clear === undefined || auth === undefined || !('password' in auth)) return
  warnedAboutClearPassword = true
  process.emitWarning(`the password goes to ${clear.url} in clear: use https endpoints`, {
    type: 'EtcdkitWarning',
    code: 'ETCDKIT_CLEAR_PASSWORD',
  })
}
