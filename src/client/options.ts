import { type AuthOptions, isTokenText } from '../auth/token-source.js'
import { longestTimerMs } from '../core/abort.js'
import { InvalidArgumentError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { type ReadPolicyOptions, ReadPolicyTable } from '../core/read-policy.js'
import {
  assertKnownOptions,
  describe,
  durationMs,
  intervalMs,
  oneOf,
  optionalBoolean,
  ownBytes,
  positiveInteger,
  wellFormed,
} from '../core/validate.js'
import { type RetryOptions, type RetryPolicy, resolveRetry } from '../interceptors/retry-options.js'
import { checkInterceptors, type UnaryInterceptor } from '../interceptors/user-interceptors.js'
import { type BatchingOptions, type ResolvedBatching, resolveBatching } from '../kv/batching/batching-options.js'
import type { ReadCacheLimits } from '../kv/reads/read-cache.js'
import type { LogLevel } from '../telemetry/log-lines.js'
import { checkLogger, type Logger, logLevels } from '../telemetry/logger.js'
import type { ChannelSettings, TransportKind } from '../transport/channel-settings.js'
import type { SrvDiscovery } from '../transport/connection/srv-discovery.js'
import { plainCredentials, TlsMaterial, type TlsOptions } from '../transport/credentials.js'
import { type Endpoint, parseConnectionString, parseEndpoints } from '../transport/endpoint.js'

/** Discovery of the endpoints by DNS. */
export interface DiscoveryOptions extends SrvDiscovery {
  /** Refresh interval in milliseconds; `Infinity` disables it. @default 60 000 */
  readonly intervalMs?: number | undefined
}

/** Synchronization with the cluster's member list. */
export interface MemberSyncOptions {
  /** Refresh interval in milliseconds. @default 60 000 */
  readonly intervalMs?: number | undefined
}

/** Limits of the cache for reads of the mode `cached`. It holds at most 1000 responses. */
export interface ReadCacheOptions {
  /** Maximum age of a cached response when it is returned, measured from the time of its request, in milliseconds. */
  readonly maxAgeMs: number
  /** Maximum total size of the cached responses, in bytes. @default 67 108 864 */
  readonly maxBytes?: number | undefined
}

/** How a client appears in diagnostics, which never contain values. */
export interface DiagnosticsOptions {
  /** Identifies the client within the process. @default 'etcd' */
  readonly name?: string | undefined
  /** Whether records may contain keys; use `false` if keys are secret. @default true */
  readonly keys?: boolean | undefined
  /** Calls that take longer are published on `etcdkit:slow`, in milliseconds; `Infinity` disables it. @default 300 */
  readonly slowCallMs?: number | undefined
}

/** Options of a client. Either `endpoints` or `discovery` is required. */
export interface ClientOptions {
  /**
   * The members: `http://host:port`, `https://host:port`, `host:port`, `unix:/path` or `unixs:/path`, as a list or as
   * one comma-separated string. Do not mix TLS and plain text; endpoints without a scheme use TLS if `tls` is set.
   */
  readonly endpoints?: string | readonly string[] | undefined
  /** Discovers the endpoints by DNS SRV records instead. */
  readonly discovery?: DiscoveryOptions | undefined
  /**
   * Credentials. Not needed with a client certificate (`tls.cert`) whose common name is a user, which is the
   * recommended method: it involves no tokens that expire.
   */
  readonly auth?: AuthOptions | undefined
  /** Certificates for `https` and `unixs` endpoints. */
  readonly tls?: TlsOptions | undefined
  /** Prefix of every key of the client, as with `namespace()`. */
  readonly namespace?: Bytes | undefined
  /** Default read mode, and read modes for prefixes. @default linearizable */
  readonly reads?: ReadPolicyOptions | undefined
  /** Caches responses for reads of the mode `cached`. Without it only informers answer them. */
  readonly cache?: ReadCacheOptions | undefined
  /** Which concurrent calls are sent as one transaction. @default reads */
  readonly batching?: BatchingOptions | undefined
  /** Default time limit per call, retries included, in milliseconds. @default 10 000 */
  readonly timeoutMs?: number | undefined
  /**
   * Time limit for waiting for a connection to any member, within the time limit of the call, in milliseconds. @default
   * 5000
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * Silence on a connection with calls in flight after which it is pinged, in milliseconds; etcd allows 5000 or more.
   * @default 10 000
   */
  readonly keepaliveMs?: number | undefined
  /** Time limit for the answer to a ping, after which the connection is closed, in milliseconds. @default 5000 */
  readonly keepaliveTimeoutMs?: number | undefined
  /**
   * The transport. `http2` is this library's HTTP/2 client, with one connection per member for calls and one for
   * streams; `grpc-js` uses one channel of that package for both. `useProxyEnvironment` requires and selects `grpc-js`.
   * @default 'http2'
   */
  readonly transport?: TransportKind | undefined
  /** Whether to use the proxy from `https_proxy` and related environment variables. @default false */
  readonly useProxyEnvironment?: boolean | undefined
  /** Follows the cluster's member list. By default the endpoints do not change. */
  readonly memberSync?: MemberSyncOptions | undefined
  /** Maximum size of a request in bytes, equal to the servers' `--max-request-bytes`. @default 1 572 864 */
  readonly maxRequestBytes?: number | undefined
  /** Maximum number of operations in a transaction, equal to the servers' `--max-txn-ops`. @default 128 */
  readonly maxTxnOps?: number | undefined
  /** Maximum number of keys returned by `range()` without `limit`. @default 100 000 */
  readonly maxRangeKeys?: number | undefined
  /** Maximum number of bytes returned by `range()` without `limit`. @default 67 108 864 */
  readonly maxRangeBytes?: number | undefined
  /** How the client appears in logs, traces and metrics. */
  readonly diagnostics?: DiagnosticsOptions | undefined
  /** How failed calls are retried. */
  readonly retry?: RetryOptions | undefined
  /**
   * Functions around every unary call, the first one outermost. Streams (watches, keep-alives, snapshots) and requests for tokens
   * do not pass them. An interceptor must settle: `timeoutMs`, a `signal` and `close()` end `next()`, but not what the
   * interceptor waits for beside it.
   */
  readonly interceptors?: readonly UnaryInterceptor[] | undefined
  /** Receives the log of the client: pino, bunyan, `console`, or an object with the same methods. @default no log */
  readonly logger?: Logger | undefined
  /** The lowest level that is logged. `debug` makes the client observe each attempt of a call. @default 'info' */
  readonly logLevel?: LogLevel | undefined
}

/** The complete, validated options. */
export interface ResolvedOptions {
  readonly endpoints: readonly Endpoint[]
  readonly discovery: (SrvDiscovery & { readonly refreshMs: number }) | undefined
  readonly auth: AuthOptions | undefined
  readonly hasTls: boolean
  readonly credentials: (endpoint: Endpoint) => ReturnType<typeof plainCredentials>
  readonly namespace: Buffer | undefined
  readonly reads: ReadPolicyTable
  readonly cache: ReadCacheLimits | undefined
  readonly batching: ResolvedBatching
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly channel: ChannelSettings
  readonly memberSyncMs: number | undefined
  readonly maxRequestBytes: number
  readonly maxTxnOps: number
  readonly maxRangeKeys: number
  readonly maxRangeBytes: number
  readonly retry: RetryPolicy
  readonly interceptors: readonly UnaryInterceptor[]
  readonly log: { readonly logger: Logger; readonly level: LogLevel } | undefined
  readonly diagnostics: Required<{ readonly [Name in keyof DiagnosticsOptions]: NonNullable<DiagnosticsOptions[Name]> }>
}

/** The documented defaults. */
export const defaults = Object.freeze({
  timeoutMs: 10_000,
  connectTimeoutMs: 5000,
  keepaliveMs: 10_000,
  keepaliveTimeoutMs: 5000,
  transport: 'http2' satisfies TransportKind as TransportKind,
  discoveryRefreshMs: 60_000,
  memberSyncMs: 60_000,
  maxRequestBytes: 1_572_864,
  maxTxnOps: 128,
  maxRangeKeys: 100_000,
  maxRangeBytes: 67_108_864,
  cacheMaxBytes: 67_108_864,
  name: 'etcd',
  slowCallMs: 300,
})

let defaultTransport: TransportKind = defaults.transport

/** @internal Replaces the transport of clients without the option `transport`, so that the same tests run over each one. */
export function setDefaultTransport(kind: TransportKind): void {
  defaultTransport = kind
}

const transportKinds: readonly TransportKind[] = ['http2', 'grpc-js']
/** etcd closes connections that are pinged more often. */
const minKeepaliveMs = 5000

/** The names of all options. */
export const optionNames = [
  'endpoints',
  'discovery',
  'auth',
  'tls',
  'namespace',
  'reads',
  'batching',
  'cache',
  'timeoutMs',
  'connectTimeoutMs',
  'keepaliveMs',
  'keepaliveTimeoutMs',
  'transport',
  'useProxyEnvironment',
  'memberSync',
  'maxRequestBytes',
  'maxTxnOps',
  'maxRangeKeys',
  'maxRangeBytes',
  'diagnostics',
  'retry',
  'interceptors',
  'logger',
  'logLevel',
] as const

/** Validates the options of a client and applies the defaults. Throws `InvalidArgumentError` for the first mistake. */
export function resolveOptions(input: string | ClientOptions): ResolvedOptions {
  const options = typeof input === 'string' ? fromText(input) : input
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError(`new Etcd() takes options or a connection string, got ${describe(input)}`)
  }
  assertKnownOptions('new Etcd()', options, optionNames)
  refuseNull(options)
  const tls = new TlsMaterial(options.tls ?? {})
  return Object.freeze({
    endpoints: resolveEndpoints(options),
    discovery: resolveDiscovery(options.discovery),
    auth: resolveAuth(options),
    hasTls: options.tls !== undefined,
    credentials: (endpoint: Endpoint) => (endpoint.tls ? tls.credentials() : plainCredentials()),
    namespace: resolveNamespace(options.namespace),
    reads: new ReadPolicyTable(options.reads ?? {}),
    batching: resolveBatching(options.batching),
    cache: resolveCache(options.cache),
    timeoutMs: durationMs('timeoutMs', options.timeoutMs ?? defaults.timeoutMs),
    connectTimeoutMs: durationMs('connectTimeoutMs', options.connectTimeoutMs ?? defaults.connectTimeoutMs),
    channel: resolveChannel(options),
    memberSyncMs: resolveMemberSync(options.memberSync),
    maxRequestBytes: positiveInteger('maxRequestBytes', options.maxRequestBytes ?? defaults.maxRequestBytes),
    maxTxnOps: positiveInteger('maxTxnOps', options.maxTxnOps ?? defaults.maxTxnOps),
    maxRangeKeys: positiveInteger('maxRangeKeys', options.maxRangeKeys ?? defaults.maxRangeKeys),
    maxRangeBytes: positiveInteger('maxRangeBytes', options.maxRangeBytes ?? defaults.maxRangeBytes),
    diagnostics: resolveDiagnostics(options.diagnostics),
    retry: resolveRetry(options.retry),
    interceptors: checkInterceptors(options.interceptors),
    log: resolveLog(options),
  })
}

/** Rejects `null`, which would leave open whether an option is set; this matters for `tls`. */
function refuseNull(options: ClientOptions): void {
  const name = optionNames.find((name) => options[name] === null)
  if (name !== undefined) throw new InvalidArgumentError(`\`${name}\` must be left out or undefined, got null`)
}

/** Parses a plain list of endpoints, or `etcd://h1,h2/namespace`. */
function fromText(text: string): ClientOptions {
  if (!/^etcds?:\/\//.test(text)) return { endpoints: text }
  const { endpoints, namespace, username, password } = parseConnectionString(text)
  const auth = username === undefined ? undefined : { username, password: password ?? '' }
  return { endpoints, namespace, auth }
}

function resolveEndpoints({ endpoints, discovery, tls }: ClientOptions): readonly Endpoint[] {
  if (endpoints !== undefined && discovery !== undefined) {
    throw new InvalidArgumentError('`endpoints` and `discovery` exclude each other')
  }
  if (discovery !== undefined) return []
  return parseEndpoints(endpoints ?? [], { hasTls: tls !== undefined })
}

const authForms = '{ username, password }, { token } or { tokenProvider }'

function resolveAuth({ auth }: ClientOptions): AuthOptions | undefined {
  if (auth === undefined) return undefined
  if (typeof auth !== 'object')
    throw new InvalidArgumentError(`\`auth\` must be one of ${authForms}, got a ${typeof auth}`)
  assertKnownOptions('auth', auth, ['username', 'password', 'tokenTtlMs', 'token', 'tokenProvider'])
  // The types exclude mixtures, but JavaScript callers are unchecked.
  const { username, password, tokenTtlMs, token, tokenProvider }: Partial<Record<string, unknown>> = { ...auth }
  const given = [username ?? password, token, tokenProvider].filter((way) => way !== undefined)
  if (given.length !== 1)
    throw new InvalidArgumentError(`\`auth\` must be one of ${authForms}, got ${given.length} of them`)
  if (tokenTtlMs !== undefined && username === undefined) {
    throw new InvalidArgumentError('`auth.tokenTtlMs` requires `auth.username`: it applies to simple tokens only')
  }
  if ('token' in auth && token !== undefined) {
    if (isTokenText(token)) return { token }
    throw new InvalidArgumentError('`auth.token` must be a string of visible ASCII characters')
  }
  if ('tokenProvider' in auth && tokenProvider !== undefined) {
    if (typeof tokenProvider === 'function') return { tokenProvider: auth.tokenProvider }
    throw new InvalidArgumentError(`\`auth.tokenProvider\` must be a function, got a ${typeof tokenProvider}`)
  }
  const login = { username: secretText('auth.username', username), password: secretText('auth.password', password) }
  return tokenTtlMs === undefined ? login : { ...login, tokenTtlMs: durationMs('auth.tokenTtlMs', tokenTtlMs) }
}

/** Validates a secret. Error messages name secrets, but never contain them. */
function secretText(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return wellFormed(name, value)
  throw new InvalidArgumentError(
    `\`${name}\` must be a non-empty string, got ${value === '' ? 'an empty one' : typeof value}`,
  )
}

function resolveDiscovery(discovery: DiscoveryOptions | undefined): ResolvedOptions['discovery'] {
  if (discovery === undefined) return undefined
  assertKnownOptions('discovery', discovery, ['domain', 'name', 'resolver', 'intervalMs'])
  if (typeof discovery.domain !== 'string' || discovery.domain === '') {
    throw new InvalidArgumentError(`\`discovery.domain\` must be a domain name, got ${describe(discovery.domain)}`)
  }
  if (discovery.name !== undefined && typeof discovery.name !== 'string') {
    throw new InvalidArgumentError(`\`discovery.name\` must be a string, got ${describe(discovery.name)}`)
  }
  const refreshMs = intervalMs('discovery.intervalMs', discovery.intervalMs ?? defaults.discoveryRefreshMs)
  return { ...discovery, refreshMs }
}

function resolveNamespace(namespace: Bytes | undefined): Buffer | undefined {
  const prefix = namespace === undefined ? undefined : ownBytes('namespace', namespace)
  return prefix?.length === 0 ? undefined : prefix
}

function resolveCache(cache: ReadCacheOptions | undefined): ReadCacheLimits | undefined {
  if (cache === undefined) return undefined
  assertKnownOptions('cache', cache, ['maxAgeMs', 'maxBytes'])
  const maxAgeMs = durationMs('cache.maxAgeMs', cache.maxAgeMs)
  return { maxAgeMs, maxBytes: positiveInteger('cache.maxBytes', cache.maxBytes ?? defaults.cacheMaxBytes) }
}

function resolveChannel(options: ClientOptions): ChannelSettings {
  const keepaliveMs = durationMs('keepaliveMs', options.keepaliveMs ?? defaults.keepaliveMs)
  if (keepaliveMs < minKeepaliveMs) {
    throw new InvalidArgumentError(
      `\`keepaliveMs\` must be at least ${minKeepaliveMs}, got ${keepaliveMs}: etcd closes connections that are pinged more often`,
    )
  }
  const keepaliveTimeoutMs = durationMs('keepaliveTimeoutMs', options.keepaliveTimeoutMs ?? defaults.keepaliveTimeoutMs)
  const useProxyEnvironment = optionalBoolean('useProxyEnvironment', options.useProxyEnvironment) ?? false
  return {
    transport: resolveTransport(options.transport, useProxyEnvironment),
    keepaliveMs: Math.min(keepaliveMs, longestTimerMs),
    keepaliveTimeoutMs: Math.min(keepaliveTimeoutMs, longestTimerMs),
    useProxyEnvironment,
    servername: options.tls?.servername,
  }
}

function resolveTransport(transport: TransportKind | undefined, useProxyEnvironment: boolean): TransportKind {
  const kind = oneOf('transport', transport ?? (useProxyEnvironment ? 'grpc-js' : defaultTransport), transportKinds)
  if (kind === 'grpc-js' || !useProxyEnvironment) return kind
  throw new InvalidArgumentError('`useProxyEnvironment` needs `transport` to be grpc-js, got http2')
}

function resolveMemberSync(memberSync: MemberSyncOptions | undefined): number | undefined {
  if (memberSync === undefined) return undefined
  assertKnownOptions('memberSync', memberSync, ['intervalMs'])
  return intervalMs('memberSync.intervalMs', memberSync.intervalMs ?? defaults.memberSyncMs)
}

function resolveDiagnostics(diagnostics: DiagnosticsOptions = {}): ResolvedOptions['diagnostics'] {
  assertKnownOptions('diagnostics', diagnostics, ['name', 'keys', 'slowCallMs'])
  const { name = defaults.name, keys, slowCallMs = defaults.slowCallMs } = diagnostics
  if (typeof name !== 'string' || name === '') {
    throw new InvalidArgumentError(`\`diagnostics.name\` must be a non-empty string, got ${describe(name)}`)
  }
  return {
    name,
    keys: optionalBoolean('diagnostics.keys', keys) ?? true,
    slowCallMs: durationMs('diagnostics.slowCallMs', slowCallMs),
  }
}

function resolveLog({ logger, logLevel }: ClientOptions): ResolvedOptions['log'] {
  const level = oneOf('logLevel', logLevel ?? 'info', logLevels)
  return logger === undefined ? undefined : { logger: checkLogger(logger), level }
}
