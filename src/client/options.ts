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
  keyBytes,
  oneOf,
  optionalBoolean,
  positiveInteger,
} from '../core/validate.js'
import { type BatchingOptions, type ResolvedBatching, resolveBatching } from '../kv/batching/batching-options.js'
import type { ReadCacheLimits } from '../kv/reads/read-cache.js'
import type { ChannelSettings, TransportKind } from '../transport/channel-settings.js'
import type { SrvDiscovery } from '../transport/connection/srv-discovery.js'
import { plainCredentials, TlsMaterial, type TlsOptions } from '../transport/credentials.js'
import { type Endpoint, parseConnectionString, parseEndpoints } from '../transport/endpoint.js'

/** Finding the endpoints in DNS. */
export interface DiscoveryOptions extends SrvDiscovery {
  /** How often to look again, in milliseconds; `Infinity` for once. @default 60 000 */
  readonly intervalMs?: number | undefined
}

/** Following the cluster's own list of members. */
export interface MemberSyncOptions {
  /** How often to ask for the list, in milliseconds. @default 60 000 */
  readonly intervalMs?: number | undefined
}

/** Bounds of the answers that are kept for reads of the mode `cached`; there are 1000 of them at most. */
export interface ReadCacheOptions {
  /** How old an answer may be when it is given, counted from when it was asked for, in milliseconds. */
  readonly maxAgeMs: number
  /** The size of all answers together. @default 67 108 864 */
  readonly maxBytes?: number | undefined
}

/** What a client tells of itself on the diagnostics channels. Values are never in it. */
export interface DiagnosticsOptions {
  /** Tells the clients of a process apart. @default 'etcd' */
  readonly name?: string | undefined
  /** Whether keys may be in records; `false` where keys are secrets. @default true */
  readonly keys?: boolean | undefined
  /** Calls that take longer are told of on `etcdkit:slow`, in milliseconds; `Infinity` for none. @default 300 */
  readonly slowCallMs?: number | undefined
}

/** What a client is made with. One of `endpoints` and `discovery` is needed. */
export interface ClientOptions {
  /**
   * The members: `http://h:p`, `https://h:p`, `h:p`, `unix:/path` or `unixs:/path`; a list, or several in one string with
   * commas between them. All with TLS or none; those without a scheme use TLS if `tls` is given.
   */
  readonly endpoints?: string | readonly string[] | undefined
  /** Finds the endpoints by DNS SRV records instead. */
  readonly discovery?: DiscoveryOptions | undefined
  /**
   * Who this client is. A client certificate (`tls.cert`) whose common name is a user needs nothing here, and is the
   * recommended way: there is no token that could expire.
   */
  readonly auth?: AuthOptions | undefined
  /** Certificates for `https` and `unixs` endpoints. */
  readonly tls?: TlsOptions | undefined
  /** A prefix for every key of this client, as `namespace()` adds it. */
  readonly namespace?: Bytes | undefined
  /** How reads are served: by default, and for prefixes. @default linearizable */
  readonly reads?: ReadPolicyOptions | undefined
  /** Keeps answers of reads of the mode `cached` in memory. By default only informers answer those. */
  readonly cache?: ReadCacheOptions | undefined
  /** Which calls are made together as one transaction. @default reads */
  readonly batching?: BatchingOptions | undefined
  /** Bound of a call with all its attempts, where the call has none of its own, in milliseconds. @default 10 000 */
  readonly timeoutMs?: number | undefined
  /** How long a call waits for a connection to any member, within its own bound, in milliseconds. @default 5000 */
  readonly connectTimeoutMs?: number | undefined
  /** Silence on a connection with open calls after which it is pinged; etcd allows 5000 ms or more. @default 10 000 */
  readonly keepaliveMs?: number | undefined
  /** How long a ping may stay unanswered before the connection is given up, in milliseconds. @default 5000 */
  readonly keepaliveTimeoutMs?: number | undefined
  /**
   * What carries calls and streams: `http2` is this library's own HTTP/2 client, with one connection to each member for
   * calls and one for streams; `grpc-js` is one channel of that package for both. `useProxyEnvironment` needs `grpc-js`
   * and selects it.
   * @default 'http2'
   */
  readonly transport?: TransportKind | undefined
  /** Whether to obey `https_proxy` and its kin in the environment. @default false */
  readonly useProxyEnvironment?: boolean | undefined
  /** Follows the cluster's list of members; by default the endpoints stay as they are given. */
  readonly memberSync?: MemberSyncOptions | undefined
  /** The largest request that is sent, as the servers' `--max-request-bytes`. @default 1 572 864 */
  readonly maxRequestBytes?: number | undefined
  /** The most operations in a transaction, as the servers' `--max-txn-ops`. @default 128 */
  readonly maxTxnOps?: number | undefined
  /** The most keys that `range()` gives without a limit. @default 100 000 */
  readonly maxRangeKeys?: number | undefined
  /** The most bytes that `range()` gives without a limit. @default 67 108 864 */
  readonly maxRangeBytes?: number | undefined
  /** How the client shows in logs, traces and metrics. */
  readonly diagnostics?: DiagnosticsOptions | undefined
}

/** Options with nothing left open. */
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
  readonly diagnostics: Required<{ readonly [Name in keyof DiagnosticsOptions]: NonNullable<DiagnosticsOptions[Name]> }>
}

/** The documented defaults. Not frozen, so that the tests can run on another transport. */
export const defaults = {
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
}

const transportKinds: readonly TransportKind[] = ['http2', 'grpc-js']
/** etcd closes connections that are pinged more often than this. */
const leastKeepaliveMs = 5000

const optionNames = [
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
] as const

/** Checks what a client is made with and fills in the defaults; throws `InvalidArgumentError` for the first mistake. */
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
  })
}

/** An option is set or left out: `null` would leave open which, and for `tls` that matters. */
function refuseNull(options: ClientOptions): void {
  const name = optionNames.find((name) => options[name] === null)
  if (name !== undefined) throw new InvalidArgumentError(`\`${name}\` must be left out or undefined, got null`)
}

/** A plain list of endpoints, or `etcd://h1,h2/namespace`. */
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
  // The types exclude mixtures; callers in JavaScript have none.
  const { username, password, tokenTtlMs, token, tokenProvider }: Partial<Record<string, unknown>> = { ...auth }
  const given = [username ?? password, token, tokenProvider].filter((way) => way !== undefined)
  if (given.length !== 1)
    throw new InvalidArgumentError(`\`auth\` must be one of ${authForms}, got ${given.length} of them`)
  if (tokenTtlMs !== undefined && username === undefined) {
    throw new InvalidArgumentError(
      '`auth.tokenTtlMs` goes with `auth.username`: other tokens say themselves when they end',
    )
  }
  if ('token' in auth && token !== undefined) {
    if (isTokenText(token)) return { token }
    throw new InvalidArgumentError('`auth.token` must be a string of visible ASCII letters')
  }
  if ('tokenProvider' in auth && tokenProvider !== undefined) {
    if (typeof tokenProvider === 'function') return { tokenProvider: auth.tokenProvider }
    throw new InvalidArgumentError(`\`auth.tokenProvider\` must be a function, got a ${typeof tokenProvider}`)
  }
  const login = { username: secretText('auth.username', username), password: secretText('auth.password', password) }
  return tokenTtlMs === undefined ? login : { ...login, tokenTtlMs: durationMs('auth.tokenTtlMs', tokenTtlMs) }
}

/** Secrets are named in errors, never shown. */
function secretText(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new InvalidArgumentError(
    `\`${name}\` must be a string of at least one letter, got ${value === '' ? 'an empty one' : typeof value}`,
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
  const prefix = namespace === undefined ? undefined : keyBytes('namespace', namespace)
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
  if (keepaliveMs < leastKeepaliveMs) {
    throw new InvalidArgumentError(
      `\`keepaliveMs\` must be at least ${leastKeepaliveMs}, got ${keepaliveMs}: etcd closes connections that are pinged more often`,
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
  const kind = oneOf('transport', transport ?? (useProxyEnvironment ? 'grpc-js' : defaults.transport), transportKinds)
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
    throw new InvalidArgumentError(
      `\`diagnostics.name\` must be a string of at least one letter, got ${describe(name)}`,
    )
  }
  return {
    name,
    keys: optionalBoolean('diagnostics.keys', keys) ?? true,
    slowCallMs: durationMs('diagnostics.slowCallMs', slowCallMs),
  }
}
