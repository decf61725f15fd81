import { authInterceptor } from '../auth/auth-interceptor.js'
import { type AuthEvents, TokenSource } from '../auth/token-source.js'
import type { ReleaseEvents, ReleaseHost } from '../concurrency/release.js'
import type { Emitter } from '../core/emitter.js'
import type { Obstacle } from '../core/wait.js'
import type { CallQueueStats } from '../interceptors/call-queue.js'
import { deadlineInterceptor } from '../interceptors/deadline.js'
import { metadataInterceptor, metadataWith } from '../interceptors/metadata.js'
import { attemptObserver, callObserver } from '../interceptors/observe.js'
import { CallQueues, type RetryDelay, retryInterceptor } from '../interceptors/retry.js'
import type { RetryPolicy } from '../interceptors/retry-options.js'
import { userInterceptor } from '../interceptors/user-interceptors.js'
import { withReadBatches } from '../kv/batching/read-batches.js'
import { servesReadTxns } from '../kv/batching/read-txn-support.js'
import { withWriteGroups } from '../kv/batching/write-groups.js'
import { interceptKv, type KvService, kvService } from '../kv/kv-service.js'
import { withCacheInvalidation, writeReporter } from '../kv/reads/cache-invalidation.js'
import { ReadCache } from '../kv/reads/read-cache.js'
import { withReadModes } from '../kv/reads/read-modes.js'
import { KeepAliveScheduler } from '../lease/keep-alive-scheduler.js'
import type { LeaseEvents } from '../lease/lease-events.js'
import { Leases } from '../lease/leases.js'
import type { RegistrationEvents } from '../lease/registration.js'
import { RangeStreamSource } from '../streams/range-streams.js'
import { StreamSource } from '../streams/stream-source.js'
import type { ClientStats } from '../telemetry/client-stats.js'
import { ClientTelemetry } from '../telemetry/client-telemetry.js'
import { BaseTransport } from '../transport/connection/base-transport.js'
import type { ConnectionEvents } from '../transport/connection/connection-events.js'
import { ConnectionManager } from '../transport/connection/connection-manager.js'
import { EndpointDirectory } from '../transport/connection/endpoint-directory.js'
import { discoverEndpoints } from '../transport/connection/srv-discovery.js'
import { type Endpoint, parseEndpoints } from '../transport/endpoint.js'
import { callContext, type Interceptor, intercept, type Transport } from '../transport/transport.js'
import type { WatchEvents } from '../watch/shared-watch-stream.js'
import { WatchMultiplexer } from '../watch/watch-multiplexer.js'
import type { ResolvedOptions } from './options.js'

/** The events that the parts of a client emit. */
export interface PartEvents
  extends ConnectionEvents,
    AuthEvents,
    WatchEvents,
    LeaseEvents,
    RegistrationEvents,
    ReleaseEvents {}

/** The parts of a client. */
export interface ClientParts {
  readonly telemetry: ClientTelemetry
  readonly manager: ConnectionManager
  readonly directory: EndpointDirectory
  readonly tokens: TokenSource | undefined
  /** Makes the calls of all services but KV. */
  readonly transport: Transport
  readonly kv: KvService
  /** Groups writes; `kv` itself if the option `batching.writes` groups all of them. */
  readonly groupedKv: KvService
  readonly readCache: ReadCache
  readonly obstacle: Obstacle
  readonly release: ReleaseHost
  readonly streams: StreamSource
  readonly rangeStreams: RangeStreamSource
  readonly watches: WatchMultiplexer
  readonly leases: Leases
  readonly stats: () => ClientStats
}

/** What all parts of a client are made with. */
interface Foundation {
  readonly options: ResolvedOptions
  readonly events: Emitter<PartEvents>
  readonly telemetry: ClientTelemetry
}

/** Maximum size of a read batch's requests: enough for `maxTxnOps` keys of usual length. */
const maxReadBatchBytes = 256 * 1024
/** Maximum size of a write group's requests: a third of what a member accepts, so that no write waits long for the others. */
const maxWriteGroupBytes = 512 * 1024

/**
 * Puts the parts of a client together. No other file knows how they are.
 *
 *     service      KvService: read modes → write groups → read batches → cache invalidation
 *        ↓                                        ↓
 *     observe → deadline     (around both)        ↓
 *        ↓                                        ↓
 *     interceptors of the user → retry → authentication → observe attempts → metadata → base transport → connection
 */
export function composeClient(options: ResolvedOptions, events: Emitter<PartEvents>): ClientParts {
  const telemetry = new ClientTelemetry({ ...options.diagnostics, namespace: options.namespace?.toString() })
  const foundation = { options, events, telemetry }
  const manager = connectionManager(foundation, () => tokens)
  const base = new BaseTransport(manager, options.maxRequestBytes)

  // Tokens have separate queues: calls whose turn it is wait for the token.
  const logins = retryCalls(manager, new CallQueues(), options.retry, loginDelay)
  const tokenTransport = intercept(base, logins, attemptObserver(telemetry), metadataInterceptor())
  const tokens = tokenSource(foundation, manager, tokenTransport)
  const obstacle: Obstacle = () => manager.unavailability() ?? tokens?.obstacle()

  const queues = new CallQueues()
  const attempts = intercept(
    base,
    ...options.interceptors.map(userInterceptor), // see a call once, whatever its attempts
    retryCalls(manager, queues, options.retry), // a call that the cluster does not accept now waits here, before it has any effect
    ...(tokens === undefined ? [] : [authInterceptor(tokens)]), // inside of retries: a refused token is replaced at once
    attemptObserver(telemetry),
    metadataInterceptor(),
  )
  const calls = [
    callObserver(telemetry, (endpoint) => manager.roleOf(endpoint), obstacle), // sees the caller's call, completes errors
    deadlineInterceptor(options.timeoutMs), // bounds everything inside, retries included
  ]
  const readCache = newReadCache(foundation)
  const transport = intercept(attempts, ...calls)
  const kvParts = composeKv(foundation, { manager, attempts, calls, readCache })
  const streams = new StreamSource(manager, tokens, telemetry)
  const watches = watchMultiplexer(foundation, { manager, streams, kv: kvParts.kv })
  const keepAlives = keepAliveScheduler(foundation, manager, streams)
  const leases = newLeases(foundation, { transport, keepAlives, obstacle, readCache })
  publishStreamEvents(foundation)
  return {
    telemetry,
    manager,
    directory: new EndpointDirectory(manager),
    tokens,
    transport,
    ...kvParts,
    readCache,
    obstacle,
    release: releaseHost(foundation, obstacle),
    streams,
    rangeStreams: new RangeStreamSource(streams),
    watches,
    leases,
    stats: statsOf({ telemetry, manager, keepAlives, queues }),
  }
}

/** A login costs a member as much CPU as thousands of reads, also if nobody waits for its answer any more. */
const loginDelay: RetryDelay = { minMs: 100, baseMs: 500, maxMs: 10_000 }

function retryCalls(
  manager: ConnectionManager,
  queues: CallQueues,
  policy: RetryPolicy,
  unansweredDelay?: RetryDelay,
): Interceptor {
  return retryInterceptor({
    policy,
    queues,
    ...(unansweredDelay === undefined ? {} : { unansweredDelay }),
    hasUntriedEndpoint: (route, excludedEndpoints) => manager.hasUntriedEndpoint(route, excludedEndpoints),
    closing: manager.closing,
  })
}

interface KvNeeds {
  readonly manager: ConnectionManager
  /** Makes the attempts of calls. */
  readonly attempts: Transport
  readonly calls: readonly Interceptor[]
  readonly readCache: ReadCache
}

function composeKv({ options }: Foundation, needs: KvNeeds): Pick<ClientParts, 'kv' | 'groupedKv'> {
  const { manager, attempts, calls, readCache } = needs
  const { maxTxnOps: maxOps, maxRequestBytes, batching } = options
  const minRevision = (): number => manager.identity.revision
  const decorate = (inner: KvService): KvService => {
    const hasUntriedEndpoint = manager.hasUntriedEndpoint.bind(manager)
    const reads = withReadModes(inner, { policy: options.reads, cache: readCache, minRevision, hasUntriedEndpoint })
    return interceptKv(reads, ...calls)
  }
  const direct = withCacheInvalidation(kvService(attempts), readCache)
  const batched = batching.reads
    ? withReadBatches(direct, attempts, {
        maxOps,
        maxBytes: Math.min(maxRequestBytes, maxReadBatchBytes),
        servesBatches: (route) => servesReadTxns(manager.status(), route),
        minRevision,
      })
    : direct
  const maxBytes = Math.min(maxRequestBytes, maxWriteGroupBytes)
  const groupedKv = decorate(
    withWriteGroups(batched, attempts, { maxOps, maxBytes, onWritten: writeReporter(readCache) }),
  )
  return { kv: batching.writes ? groupedKv : decorate(batched), groupedKv }
}

function newReadCache({ options, events }: Foundation): ReadCache {
  const cache = new ReadCache(options.cache)
  events.on('clusterChanged', () => cache.clear())
  events.on('clusterFollowed', () => cache.clear())
  events.on('revisionRewound', () => cache.clear())
  return cache
}

function connectionManager(
  { options, events, telemetry }: Foundation,
  tokens: () => TokenSource | undefined,
): ConnectionManager {
  const { endpoints, discovery, hasTls, credentials, connectTimeoutMs, channel } = options
  events.on('clusterFollowed', (change) => telemetry.cluster(change))
  const discover = discovery === undefined ? undefined : () => discovered(discovery, hasTls)
  return new ConnectionManager({
    events,
    onStateChange: (change) => telemetry.connect(change),
    endpoints,
    settings: channel,
    connectTimeoutMs,
    discover,
    credentials,
    probeMetadata: () => metadataWith(tokens()?.held),
    onTokenStalled: (token) => tokens()?.onStalled(token) === true,
  })
}

function tokenSource(
  { options: { auth, discovery }, events, telemetry: { client } }: Foundation,
  manager: ConnectionManager,
  transport: Transport,
): TokenSource | undefined {
  if (auth === undefined) return undefined
  const tokens = new TokenSource(auth, {
    transport,
    client,
    endpoints: () => (discovery === undefined ? manager.endpoints.map(({ url }) => url) : [`srv:${discovery.domain}`]),
    events,
    obstacle: () => manager.unavailability(),
    // Members that have refused their status without a token are asked again.
    renewed: () => manager.refreshAll(),
  })
  events.on('clusterFollowed', ({ actual }) => tokens.clusterFollowed(actual))
  return tokens
}

interface WatchNeeds {
  readonly manager: ConnectionManager
  readonly streams: StreamSource
  readonly kv: KvService
}

function watchMultiplexer({ events }: Foundation, { manager, streams, kv }: WatchNeeds): WatchMultiplexer {
  return new WatchMultiplexer({
    streams,
    events,
    identity: manager.identity,
    currentRevision: async ({ spec: { key } }) => {
      const kind = { repeatable: true, requiresFloor: true, readPolicy: { mode: 'linearizable' } } as const
      const { header } = await kv.range({ key, countOnly: true }, callContext(undefined, kind))
      return header?.revision ?? 0
    },
  })
}

function keepAliveScheduler(
  { events, telemetry }: Foundation,
  { identity }: ConnectionManager,
  streams: StreamSource,
): KeepAliveScheduler {
  return new KeepAliveScheduler({
    streams,
    events,
    raftTerm: () => identity.raftTerm,
    renewed: (renewed) => telemetry.lease({ type: 'renewed', ...renewed }),
  })
}

interface LeaseNeeds {
  readonly transport: Transport
  readonly keepAlives: KeepAliveScheduler
  readonly obstacle: Obstacle
  readonly readCache: ReadCache
}

function newLeases({ options, events }: Foundation, { readCache, ...needs }: LeaseNeeds): Leases {
  return new Leases({
    ...needs,
    events,
    onLost: (error) => events.emit('leaseLost', { leaseId: error.leaseId, reason: error.reason, error }),
    onRevoked: (revision) => readCache.invalidateEveryKey(revision),
    timeoutMs: options.timeoutMs,
  })
}

function releaseHost({ options, events }: Foundation, obstacle: Obstacle): ReleaseHost {
  const { timeoutMs } = options
  return { obstacle, releaseMs: timeoutMs, releaseDelayed: (delayed) => events.emit('releaseDelayed', delayed) }
}

/** Publishes the events of leases and watches on the diagnostics channels. */
function publishStreamEvents({ events, telemetry }: Foundation): void {
  events.on('watchLost', (lost) => telemetry.watch({ type: 'lost', ...lost }))
  events.on('watchResumed', (resumed) => telemetry.watch({ type: 'resumed', ...resumed }))
  events.on('leaseLost', (lost) => telemetry.lease({ type: 'lost', ...lost }))
  events.on('keepAliveLost', (lost) => telemetry.lease({ type: 'keepAliveLost', ...lost }))
  events.on('keepAliveResumed', (resumed) => telemetry.lease({ type: 'keepAliveResumed', ...resumed }))
}

interface StatsSources {
  readonly telemetry: ClientTelemetry
  readonly manager: ConnectionManager
  readonly keepAlives: KeepAliveScheduler
  readonly queues: CallQueues
}

function statsOf({ telemetry, manager, keepAlives, queues }: StatsSources): () => ClientStats {
  return () => ({
    client: telemetry.client,
    cluster: { id: manager.identity.clusterId, followed: manager.lastFollowed },
    revision: manager.identity.revision,
    endpoints: manager.status(),
    watches: telemetry.watches,
    informers: telemetry.informers,
    leases: keepAlives.keptAlive,
    throttled: queues.throttled,
    writes: withoutInfinity(queues.writes),
  })
}

/** JSON has no `Infinity`. */
function withoutInfinity({ limit, ...others }: CallQueueStats): ClientStats['writes'] {
  return { limit: Number.isFinite(limit) ? limit : undefined, ...others }
}

/** The endpoints that DNS has now. */
export async function discovered(
  discovery: NonNullable<ResolvedOptions['discovery']>,
  hasTls: boolean,
): Promise<readonly Endpoint[]> {
  return parseEndpoints(await discoverEndpoints(discovery), { hasTls })
}
