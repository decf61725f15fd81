import { authInterceptor } from '../auth/auth-interceptor.js'
import { type AuthEvents, TokenSource } from '../auth/token-source.js'
import type { ReleaseEvents, ReleaseHost } from '../concurrency/lock/release.js'
import type { Emitter } from '../core/emitter.js'
import type { EtcdError } from '../core/errors.js'
import type { Obstacle } from '../core/wait.js'
import { deadlineInterceptor } from '../interceptors/deadline.js'
import { metadataInterceptor, metadataWith } from '../interceptors/metadata.js'
import { attemptObserver, callObserver } from '../interceptors/observe.js'
import { CallQueues, retryInterceptor } from '../interceptors/retry.js'
import { readBatchLayer } from '../kv/batching/read-batch-layer.js'
import { servesReadTxns } from '../kv/batching/read-txn-support.js'
import { writeGroupLayer } from '../kv/batching/write-group-layer.js'
import { ReadCache } from '../kv/reads/read-cache.js'
import { readCacheLayer } from '../kv/reads/read-cache-layer.js'
import { readModeLayer } from '../kv/reads/read-mode-layer.js'
import { KeepAliveScheduler } from '../lease/keep-alive-scheduler.js'
import type { LeaseEvents } from '../lease/lease-events.js'
import { Leases } from '../lease/leases.js'
import type { RegistrationEvents } from '../lease/registration.js'
import { methods } from '../protobuf/methods.js'
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
import { callContext, intercept, type Layer, stack, type Transport } from '../transport/transport.js'
import type { WatchEvents } from '../watch/shared-watch-stream.js'
import { WatchMultiplexer } from '../watch/watch-multiplexer.js'
import type { ResolvedOptions } from './options.js'

/** What the parts of a client tell its listeners. */
export interface PartEvents
  extends ConnectionEvents,
    AuthEvents,
    WatchEvents,
    LeaseEvents,
    RegistrationEvents,
    ReleaseEvents {}

/** The parts of a client, each made of those before it. */
export interface ClientParts {
  readonly telemetry: ClientTelemetry
  readonly manager: ConnectionManager
  readonly directory: EndpointDirectory
  readonly tokens: TokenSource | undefined
  readonly transport: Transport
  readonly memory: ReadCache
  readonly obstacle: Obstacle
  readonly release: ReleaseHost
  /** Groups writes; `transport` itself where all writes are grouped. */
  readonly grouping: Transport
  readonly streams: StreamSource
  readonly rangeStreams: RangeStreamSource
  readonly watches: WatchMultiplexer
  readonly leases: Leases
  readonly stats: () => ClientStats
}

/** Of requests: enough for as many operations as there may be, with keys of usual length. */
const maxBatchBytes = 256 * 1024
/** Of writes: a third of what a member takes, so that none of them waits long for the others to be stored. */
const maxGroupBytes = 512 * 1024

/** The parts of a client, and the layers of every call, outermost first. */
export function composeClient(options: ResolvedOptions, events: Emitter<PartEvents>): ClientParts {
  const telemetry = new ClientTelemetry({ ...options.diagnostics, namespace: options.namespace?.toString() })
  const manager = connectionManager(options, events, telemetry, () => tokens)
  const base = new BaseTransport(manager, options.maxRequestBytes)
  const hasUntriedEndpoint = manager.hasUntriedEndpoint.bind(manager)
  const queues = new CallQueues()
  const repeats = { hasUntriedEndpoint, closing: manager.closing }
  const attempts = attemptObserver(telemetry)
  // With separate queues: calls that have their turn wait for the token.
  const tokenRetry = retryInterceptor({ queues: new CallQueues(), ...repeats })
  const tokens = tokenSource(
    options,
    events,
    manager,
    telemetry,
    intercept(base, tokenRetry, attempts, metadataInterceptor()),
  )
  const obstacle = (): EtcdError | undefined => manager.unavailability() ?? tokens?.obstacle()
  const memory = readMemory(options, events)
  const floor = (): number => manager.identity.revision
  const calls = [
    callObserver(telemetry, manager.roleOf.bind(manager), obstacle), // sees the caller's call, explains errors
    deadlineInterceptor(options.timeoutMs), // bounds everything below, repeats included
  ]
  const sending = intercept(
    base,
    retryInterceptor({ queues, ...repeats }), // calls that the cluster does not take wait here, before they have any effect
    ...(tokens === undefined ? [] : [authInterceptor(tokens)]), // below the repeats: a refused token is replaced, not waited for
    attempts, // sees each sending
    metadataInterceptor(),
  )
  const batching = options.batching.reads ? readBatches(options, manager)(sending) : sending // whole batches are repeated
  const kvLayers = [readCacheLayer(memory), readModeLayer({ policy: options.reads, memory, floor, hasUntriedEndpoint })]
  const grouping = intercept(stack(batching, ...kvLayers, writeGroups(options)), ...calls)
  const transport = options.batching.writes ? grouping : intercept(stack(batching, ...kvLayers), ...calls)
  const streams = new StreamSource(manager, tokens, telemetry)
  const watches = watchHub(manager, streams, transport, events)
  const keepAlives = keepAliveScheduler(manager, streams, events, telemetry)
  const leases = leasesOf({ transport, keepAlives, events, timeoutMs: options.timeoutMs, obstacle })
  tellOfStreams(events, telemetry)
  const calling = { tokens, transport, grouping, memory, obstacle, release: releaseHost(options, events, obstacle) }
  const [directory, rangeStreams] = [new EndpointDirectory(manager), new RangeStreamSource(streams)]
  const stats = statsOf({ telemetry, manager, keepAlives, queues })
  return { telemetry, manager, directory, ...calling, streams, rangeStreams, watches, leases, stats }
}

function leasesOf(
  host: Omit<ConstructorParameters<typeof Leases>[0], 'onLost' | 'events'> & { readonly events: Emitter<PartEvents> },
): Leases {
  const { events } = host
  return new Leases({
    ...host,
    onLost: (error) => events.emit('leaseLost', { leaseId: error.leaseId, reason: error.reason, error }),
  })
}

function releaseHost({ timeoutMs }: ResolvedOptions, events: Emitter<PartEvents>, obstacle: Obstacle): ReleaseHost {
  return { obstacle, releaseMs: timeoutMs, releaseDelayed: (delayed) => events.emit('releaseDelayed', delayed) }
}

function readMemory({ cache }: ResolvedOptions, events: Emitter<PartEvents>): ReadCache {
  const memory = new ReadCache(cache)
  events.on('clusterChanged', () => memory.clear())
  events.on('clusterFollowed', () => memory.clear())
  events.on('revisionRewound', () => memory.clear())
  return memory
}

interface Counted {
  readonly telemetry: ClientTelemetry
  readonly manager: ConnectionManager
  readonly keepAlives: KeepAliveScheduler
  readonly queues: CallQueues
}

function statsOf({ telemetry, manager, keepAlives, queues }: Counted): () => ClientStats {
  return () => ({
    client: telemetry.client,
    cluster: { id: manager.identity.clusterId, followed: manager.lastFollowed },
    revision: manager.identity.revision,
    endpoints: manager.status(),
    watches: telemetry.watches,
    informers: telemetry.informers,
    leases: keepAlives.keptAlive,
    throttled: queues.throttled,
    writes: queues.writes,
  })
}

function readBatches({ maxTxnOps, maxRequestBytes }: ResolvedOptions, manager: ConnectionManager): Layer {
  return readBatchLayer({
    maxOps: maxTxnOps,
    maxBytes: Math.min(maxRequestBytes, maxBatchBytes),
    servesBatches: (route) => servesReadTxns(manager.status(), route),
    floor: () => manager.identity.revision,
  })
}

function writeGroups({ maxTxnOps, maxRequestBytes }: ResolvedOptions): Layer {
  return writeGroupLayer({ maxOps: maxTxnOps, maxBytes: Math.min(maxRequestBytes, maxGroupBytes) })
}

function keepAliveScheduler(
  { identity }: ConnectionManager,
  streams: StreamSource,
  events: Emitter<PartEvents>,
  telemetry: ClientTelemetry,
): KeepAliveScheduler {
  return new KeepAliveScheduler({
    streams,
    events,
    raftTerm: () => identity.raftTerm,
    renewed: (renewed) => telemetry.lease({ type: 'renewed', ...renewed }),
  })
}

function watchHub(
  manager: ConnectionManager,
  streams: StreamSource,
  transport: Transport,
  events: Emitter<PartEvents>,
): WatchMultiplexer {
  const { identity } = manager
  return new WatchMultiplexer({
    streams,
    events,
    identity,
    currentRevision: async ({ spec: { key } }) => {
      const kind = { repeatable: true, requiresFloor: true, readPolicy: { mode: 'linearizable' } } as const
      const context = callContext(undefined, kind)
      const { header } = await transport.unary(methods.KV.Range, { key, countOnly: true }, context)
      return header?.revision ?? 0
    },
  })
}

function connectionManager(
  options: ResolvedOptions,
  events: Emitter<PartEvents>,
  telemetry: ClientTelemetry,
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
  { auth, discovery }: ResolvedOptions,
  events: Emitter<PartEvents>,
  manager: ConnectionManager,
  { client }: ClientTelemetry,
  transport: Transport,
): TokenSource | undefined {
  if (auth === undefined) return undefined
  const tokens = new TokenSource(auth, {
    transport,
    client,
    endpoints: () => (discovery === undefined ? manager.endpoints.map(({ url }) => url) : [`srv:${discovery.domain}`]),
    events,
    obstacle: () => manager.unavailability(),
    // Members that refused to tell who they are without a token tell it now.
    renewed: () => manager.refreshAll(),
  })
  events.on('clusterFollowed', ({ actual }) => tokens.clusterFollowed(actual))
  return tokens
}

/** What the events tell of leases and watches, on the channels. */
function tellOfStreams(events: Emitter<PartEvents>, telemetry: ClientTelemetry): void {
  events.on('watchLost', (lost) => telemetry.watch({ type: 'lost', ...lost }))
  events.on('watchResumed', (resumed) => telemetry.watch({ type: 'resumed', ...resumed }))
  events.on('leaseLost', (lost) => telemetry.lease({ type: 'lost', ...lost }))
  events.on('keepAliveLost', (lost) => telemetry.lease({ type: 'keepAliveLost', ...lost }))
  events.on('keepAliveResumed', (resumed) => telemetry.lease({ type: 'keepAliveResumed', ...resumed }))
}

/** The endpoints that DNS knows now. */
export async function discovered(
  discovery: NonNullable<ResolvedOptions['discovery']>,
  hasTls: boolean,
): Promise<readonly Endpoint[]> {
  return parseEndpoints(await discoverEndpoints(discovery), { hasTls })
}
