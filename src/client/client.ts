import { Auth } from '../auth/auth.js'
import type { TokenSource } from '../auth/token-source.js'
import { Cluster } from '../cluster/cluster.js'
import { longestTimerMs } from '../core/abort.js'
import { Emitter } from '../core/emitter.js'
import { InvalidArgumentError, isEtcdError } from '../core/errors.js'
import { describe, oneOf } from '../core/validate.js'
import { Kv } from '../kv/kv.js'
import type { KvService } from '../kv/kv-service.js'
import type { Leases } from '../lease/leases.js'
import { checkHealth } from '../maintenance/check-health.js'
import { Compactor, type CompactorOptions } from '../maintenance/compactor.js'
import type { Health } from '../maintenance/health.js'
import { Maintenance } from '../maintenance/maintenance.js'
import { methods } from '../protobuf/methods.js'
import { ElectionService } from '../server-locks/election-service.js'
import { LockService } from '../server-locks/lock-service.js'
import type { RangeStreamSource } from '../streams/range-streams.js'
import type { ClientStats } from '../telemetry/client-stats.js'
import { startDebugLog } from '../telemetry/debug-log.js'
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
import { type ClientOptions, type ResolvedOptions, resolveOptions } from './options.js'

/** The events of a client. */
export interface ClientEvents extends PartEvents {
  /** The endpoints could not be looked up again, or the member list could not be read; the old ones stay in use. */
  syncFailed: { readonly error: unknown }
  /** The client is closed. The last event. */
  closed: object
}

/** The names of all events of a client. */
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

const noAuthStats = { authenticated: { first: 0, expiring: 0, rejected: 0 }, failed: 0 }

/**
 * A client of one etcd cluster. It connects when it is first used, to all endpoints at once, and spreads its calls evenly
 * over the members that are healthy. A call holds the process open until it has settled; a client with nothing to do does
 * not, closed or open.
 *
 * ```ts
 * await using etcd = new Etcd({ endpoints: ['http://10.0.0.1:2379', 'http://10.0.0.2:2379', 'http://10.0.0.3:2379'] })
 * await etcd.put('config/port', '8080')
 * ```
 */
export class Etcd extends Keyspace implements AsyncDisposable {
  readonly #options: ResolvedOptions
  readonly #manager: ConnectionManager
  readonly #transport: Transport
  readonly #kv: KvService
  readonly #directory: EndpointDirectory
  readonly #rangeStreams: RangeStreamSource
  readonly #tokens: TokenSource | undefined
  readonly #watches: WatchMultiplexer
  readonly #events: Emitter<ClientEvents>
  readonly #stats: () => ClientStats
  readonly #timers: NodeJS.Timeout[] = []
  #closing: Promise<void> | undefined
  /** Users, roles, and what became of this client's own logins. */
  readonly auth: Auth
  /** Leases, which are kept alive, and what is known of them. */
  readonly lease: Leases
  /** The members of the cluster. */
  readonly cluster: Cluster
  /** What keeps the cluster running: status, alarms, snapshots, defragmentation. */
  readonly maintenance: Maintenance
  /** Locks that the server queues for, with the keys of `lock()`; `lock()` gives more. */
  readonly lockService: LockService
  /** Elections that the server campaigns in, with the keys of `election()`; `election()` gives more. */
  readonly electionService: ElectionService

  /** Takes options, or a connection string such as `etcd://10.0.0.1:2379,10.0.0.2:2379/tenant-a/`. Opens nothing yet. */
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
    this.#repeat(options.memberSyncMs, () => this.#syncMembers())
    this.#repeat(options.discovery?.refreshMs, () => this.#rediscover())
  }

  /**
   * A client for the cluster that etcdctl's environment variables point to: `ETCDCTL_ENDPOINTS`, `_USER`, `_PASSWORD`,
   * `_CACERT`, `_CERT`, `_KEY`, `_DIAL_TIMEOUT`, `_COMMAND_TIMEOUT` and their kin. Without endpoints, `127.0.0.1:2379`.
   * `overrides` come before them.
   */
  static fromEnv(overrides: ClientOptions = {}, env: Readonly<Record<string, string | undefined>> = process.env): Etcd {
    const { endpoints, discovery, ...others } = optionsFromEnvironment(env)
    const isPlaced = overrides.endpoints !== undefined || overrides.discovery !== undefined
    return new Etcd({ ...others, ...overrides, ...(isPlaced ? {} : { endpoints, discovery }) })
  }

  /**
   * Connects now instead of with the first call. Rejects with `NOT_CONNECTED` if no member can be reached within `timeoutMs`,
   * by default the client's `connectTimeoutMs`.
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
      // Made by a timer, where the caller is not on the stack.
      if (isEtcdError(error)) Error.captureStackTrace(error)
      throw error
    }
  }

  /** What is known of each endpoint now. */
  endpoints(): EndpointStatus[] {
    return this.#manager.status()
  }

  /** What is known of the client now: its connections, watches, informers and leases. */
  stats(): ClientStats {
    return this.#stats()
  }

  /**
   * How the cluster does: a real linearizable read through every endpoint, and its alarms, all at once. A sick cluster is a
   * result, not an error; rejects only if the endpoints are not known, with the reason of the `signal`, and with `CLOSED`.
   * `timeoutMs`, by default 3000, is what a member has to answer; one that is known to refuse connections costs no time.
   */
  health(options?: CallOptions): Promise<Health> {
    if (this.#closing !== undefined) return Promise.reject(closedError())
    const endpoints = (): EndpointStatus[] => this.endpoints()
    return checkHealth({ transport: this.#transport, kv: this.#kv, directory: this.#directory, endpoints }, options)
  }

  /**
   * Discards the cluster's history at regular times, keeping the last `retainMs` of it. It begins now, and may run in many
   * processes at once. Throws `InvalidArgumentError` for wrong options; everything else is an event.
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
   * Replaces the endpoints. Those that stay keep their connections; calls under way on the others are let end, and
   * new ones no longer go there; with `discovery` or `memberSync`, until these look again. Throws `InvalidArgumentError` for endpoints that are none, or that lead a client off TLS, and
   * `CLOSED` after `close()`.
   */
  setEndpoints(endpoints: string | readonly string[]): void {
    if (this.#closing !== undefined) throw closedError()
    this.#manager.replace(this.#keepingTls(parseEndpoints(endpoints, { hasTls: this.#options.hasTls })))
  }

  /** Calls `listener` for each event from now on; returns a function that ends that. */
  on<Name extends keyof ClientEvents>(event: Name, listener: (payload: ClientEvents[Name]) => void): () => void {
    oneOf('event', event, eventNames)
    if (typeof listener === 'function') return this.#events.on(event, listener)
    throw new InvalidArgumentError(`\`listener\` must be a function, got ${describe(listener)}`)
  }

  /**
   * Ends everything: calls and watches under way reject with `CLOSED`, as does every later one. Nothing of this client holds the
   * process open afterwards. May be called any number of times.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #onRestored(listener: () => void): () => void {
    const leave = [this.#events.on('clusterChanged', listener), this.#events.on('revisionRewound', listener)]
    return () => {
      for (const leaveOne of leave) leaveOne()
    }
  }

  /** What went over TLS, tokens among it, never goes in clear because of a list of endpoints. */
  #keepingTls(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    const plain = endpoints.find(({ tls }) => !tls)
    if (plain === undefined || !this.#manager.endpoints.some(({ tls }) => tls)) return endpoints
    throw new InvalidArgumentError(`\`endpoints\` must be https as those before, got ${plain.url}`)
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#watches.close()
    await this.lease.close()
    this.#tokens?.close()
    this.#manager.close()
    this.#events.emit('closed', {})
    this.#events.clear()
  }

  /** Runs `task` every `intervalMs`, without holding the process open; failures are events. */
  #repeat(intervalMs: number | undefined, task: () => Promise<void>): void {
    if (intervalMs === undefined || intervalMs > longestTimerMs) return
    const timer = setInterval(() => {
      task().catch((error: unknown) => this.#events.emit('syncFailed', { error }))
    }, intervalMs)
    timer.unref()
    this.#timers.push(timer)
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

function userOf({ auth }: ResolvedOptions): string | undefined {
  return auth !== undefined && 'username' in auth ? auth.username : undefined
}

let warnedAboutClearPassword = false

/** Once for each process, as Node does with its own warnings. */
function warnAboutClearPassword(auth: ResolvedOptions['auth'], endpoints: readonly Endpoint[]): void {
  const clear = endpoints.find(({ tls, target }) => !tls && !target.startsWith('unix:'))
  if (warnedAboutClearPassword || clear === undefined || auth === undefined || !('password' in auth)) return
  warnedAboutClearPassword = true
  process.emitWarning(`the password goes to ${clear.url} in clear: use https endpoints`, {
    type: 'EtcdkitWarning',
    code: 'ETCDKIT_CLEAR_PASSWORD',
  })
}
