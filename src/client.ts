import { Auth } from './auth/auth.js'
import { Emitter } from './core/emitter.js'
import { optionsFromEnvironment } from './environment.js'
import { Keyspace } from './keyspace.js'
import { authLayer } from './layers/auth-layer.js'
import { deadlineLayer } from './layers/deadline-layer.js'
import { metadataLayer, metadataWith } from './layers/metadata-layer.js'
import { attemptObserver, callObserver } from './layers/observe-layer.js'
import { readModeLayer } from './layers/read-mode-layer.js'
import { RetryBudget } from './layers/retry-budget.js'
import { retryLayer } from './layers/retry-layer.js'
import { type AuthEvents, TokenSource } from './layers/token-source.js'
import { namespaceLayer } from './namespace/namespace-layer.js'
import { type ClientOptions, type ResolvedOptions, resolveOptions } from './options.js'
import { Balancer } from './transport/balancer.js'
import { type ConnectionEvents, ConnectionManager, type EndpointStatus } from './transport/connection-manager.js'
import { type Endpoint, parseEndpoints } from './transport/endpoint.js'
import { memberEndpoints } from './transport/member-sync.js'
import { discoverEndpoints } from './transport/srv-discovery.js'
import { type CallMetadata, type CallOptions, callContext, stack, type Transport } from './transport/transport.js'
import { methods } from './wire/methods.js'

/** The events of a client. */
export interface ClientEvents extends ConnectionEvents, AuthEvents {
  /** The endpoints could not be looked up again, or the member list could not be read; the old ones stay in use. */
  syncFailed: { readonly error: unknown }
}

interface Wired {
  readonly manager: ConnectionManager
  readonly tokens: TokenSource | undefined
  readonly transport: Transport
}

const noAuthStats = { authenticated: { first: 0, expiring: 0, rejected: 0 }, failed: 0 }

/** Enough for a burst of calls over an election, and for steady trouble no more than 64 repeats a second. */
const retryBudget = { capacity: 512, perSecond: 64, perSuccess: 0.2 }

/**
 * A client of one etcd cluster. It connects when it is first used, to all endpoints at once, and spreads its calls evenly
 * over the members that are healthy.
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
  readonly #tokens: TokenSource | undefined
  readonly #events: Emitter<ClientEvents>
  readonly #timers: NodeJS.Timeout[] = []
  #closing: Promise<void> | undefined
  /** Users, roles, and what became of this client's own logins. */
  readonly auth: Auth

  /** Takes options, or a connection string such as `etcd://10.0.0.1:2379,10.0.0.2:2379/tenant-a/`. Opens nothing yet. */
  constructor(input: string | ClientOptions) {
    const options = resolveOptions(input)
    warnAboutClearPassword(options)
    const events = new Emitter<ClientEvents>()
    const { manager, tokens, transport } = wire(options, events)
    super(options.namespace === undefined ? transport : namespaceLayer(options.namespace)(transport), options)
    this.#options = options
    this.#events = events
    this.#manager = manager
    this.#tokens = tokens
    this.#transport = transport
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
    return new Etcd({ ...optionsFromEnvironment(env), ...overrides })
  }

  /** Connects now instead of with the first call. Rejects with `NOT_CONNECTED` if no member can be reached. */
  async connect(options?: CallOptions): Promise<void> {
    const context = callContext(options, {})
    context.deadlineAt = context.startedAt + (options?.timeoutMs ?? this.#options.connectTimeoutMs)
    options?.signal?.throwIfAborted()
    if (this.#manager.pick(context) === undefined) await this.#manager.wait(context)
  }

  /** What is known of each endpoint now. */
  endpoints(): EndpointStatus[] {
    return this.#manager.status()
  }

  /**
   * Replaces the endpoints. Those that stay keep their connections; calls under way on the others may end, and new ones
   * no longer go there.
   */
  setEndpoints(endpoints: string | readonly string[]): void {
    this.#manager.replace(parseEndpoints(endpoints, { hasTls: this.#options.hasTls }))
  }

  /** Calls `listener` for each event from now on; returns a function that ends that. */
  on<Name extends keyof ClientEvents>(event: Name, listener: (payload: ClientEvents[Name]) => void): () => void {
    return this.#events.on(event, listener)
  }

  /**
   * Ends everything: calls under way reject with `CLOSED`, as does every later one. Nothing of this client holds the
   * process open afterwards. May be called any number of times.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#tokens?.close()
    this.#manager.close()
    this.#events.clear()
  }

  /** Runs `task` every `intervalMs`, without holding the process open; failures are events. */
  #repeat(intervalMs: number | undefined, task: () => Promise<void>): void {
    if (intervalMs === undefined || intervalMs === Number.POSITIVE_INFINITY) return
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
    this.#manager.replace(memberEndpoints(members, this.#options.endpoints))
  }

  async #rediscover(): Promise<void> {
    if (this.#options.discovery === undefined) return
    this.#manager.replace(await discovered(this.#options.discovery, this.#options.hasTls))
  }
}

let warnedAboutClearPassword = false

/** Once for each process, as Node does with its own warnings. */
function warnAboutClearPassword({ auth, endpoints }: ResolvedOptions): void {
  const clear = endpoints.find(({ tls, target }) => !tls && !target.startsWith('unix:'))
  if (warnedAboutClearPassword || clear === undefined || auth === undefined || !('password' in auth)) return
  warnedAboutClearPassword = true
  process.emitWarning(`the password goes to ${clear.url} in clear: use https endpoints`, {
    type: 'EtcdkitWarning',
    code: 'ETCDKIT_CLEAR_PASSWORD',
  })
}

/** The parts of a client, and the layers of every call, outermost first. */
function wire(options: ResolvedOptions, events: Emitter<ClientEvents>): Wired {
  const manager = connectionManager(options, events, () => metadataWith(tokens?.held))
  const base = new Balancer(manager, options.maxRequestBytes)
  const hasFresh = manager.hasFresh.bind(manager)
  const retry = retryLayer({ budget: new RetryBudget(retryBudget), hasFresh })
  const tokens = tokenSource(options, events, manager, stack(base, retry, metadataLayer()))
  const transport = stack(
    base,
    callObserver(), // sees the caller's call and gives errors its stack
    deadlineLayer(options.timeoutMs), // bounds everything below, repeats included
    readModeLayer({ policy: options.reads, floor: () => manager.identity.revision, hasFresh }),
    retry,
    attemptObserver(), // sees each sending
    ...(tokens === undefined ? [] : [authLayer(tokens)]), // below the repeats: a refused token is replaced, not waited for
    metadataLayer(),
  )
  return { manager, tokens, transport }
}

function connectionManager(
  options: ResolvedOptions,
  events: Emitter<ClientEvents>,
  probeMetadata: () => CallMetadata,
): ConnectionManager {
  const { endpoints, discovery, hasTls, credentials, connectTimeoutMs, channel } = options
  const discover = discovery === undefined ? undefined : () => discovered(discovery, hasTls)
  return new ConnectionManager({
    events,
    endpoints,
    settings: channel,
    connectTimeoutMs,
    discover,
    credentials,
    probeMetadata,
  })
}

function tokenSource(
  { auth, discovery }: ResolvedOptions,
  events: Emitter<ClientEvents>,
  manager: ConnectionManager,
  transport: Transport,
): TokenSource | undefined {
  if (auth === undefined) return undefined
  return new TokenSource(auth, {
    transport,
    endpoints: () => (discovery === undefined ? manager.endpoints.map(({ url }) => url) : [`srv:${discovery.domain}`]),
    events,
    // Members that refused to tell who they are without a token tell it now.
    renewed: () => manager.refreshAll(),
  })
}

async function discovered(
  discovery: NonNullable<ResolvedOptions['discovery']>,
  hasTls: boolean,
): Promise<readonly Endpoint[]> {
  return parseEndpoints(await discoverEndpoints(discovery), { hasTls })
}
