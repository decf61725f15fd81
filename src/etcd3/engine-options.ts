import { assertOptions } from '../core/validate.js'
import type { ClientOptions } from '../index.js'
import type { IOptions } from './options.js'
import { nameText } from './validate.js'
import { warn } from './warn.js'

const defaultHost = '127.0.0.1:2379'
/** etcd closes connections that are pinged more often. */
const minKeepaliveMs = 5000
/** An alternative to TLS in clear text, which grpc-js reaches by its own resolver. */
const scheme = /^https?:\/\//

/** Options of grpc-js that are obeyed, or that the engine does not need. */
const knownGrpcOptions = new Set([
  'grpc.keepalive_time_ms',
  'grpc.keepalive_timeout_ms',
  'grpc.max_receive_message_length',
  'grpc.max_send_message_length',
  'grpc.ssl_target_name_override',
  'grpc.enable_http_proxy',
  'grpc.keepalive_permit_without_calls',
  'grpc.use_local_subchannel_pool',
  'grpc.enable_retries',
])

/** The options of the engine. Throws for hosts that are none, or of which only some use TLS. */
export function toClientOptions(options: IOptions): ClientOptions {
  assertOptions('new Etcd3()', options)
  for (const name of ['credentials', 'auth', 'grpcOptions', 'faultHandling'] as const) {
    if (options[name] !== undefined) assertOptions(name, options[name])
  }
  reportUnused(options)
  const { credentials, auth, dialTimeout, grpcOptions = {} } = options
  const sendLength = grpcOptions['grpc.max_send_message_length']
  const keepaliveMs = grpcOptions['grpc.keepalive_time_ms']
  return {
    endpoints: endpointsOf(options),
    auth: auth && { username: auth.username, password: auth.password },
    tls: tlsOf(credentials, grpcOptions['grpc.ssl_target_name_override']),
    connectTimeoutMs: dialTimeout,
    keepaliveMs: keepaliveMs && Math.max(minKeepaliveMs, keepaliveMs),
    keepaliveTimeoutMs: grpcOptions['grpc.keepalive_timeout_ms'],
    maxRequestBytes: sendLength === -1 ? Number.MAX_SAFE_INTEGER : sendLength,
    useProxyEnvironment: grpcOptions['grpc.enable_http_proxy'] === 1 ? true : undefined,
  }
}

/** The hosts as a list. */
export function hostsOf({ hosts = defaultHost }: Partial<IOptions>): string[] {
  return Array.isArray(hosts) ? hosts.map((host) => nameText('hosts', host)) : [nameText('hosts', hosts)]
}

function endpointsOf(options: IOptions): string[] {
  const hosts = hostsOf(options)
  if (hosts.length === 0) throw new Error('Cannot construct an etcd client with no hosts specified')
  const secure = hosts.filter((host) => host.startsWith('https:')).length
  const hasTls = options.credentials !== undefined
  if (!hasTls && secure > 0 && secure < hosts.length) {
    throw new Error('etcd3 cannot be configured with a mix of secure and insecure hosts')
  }
  const prefix = hasTls || secure > 0 ? 'https://' : 'http://'
  return hosts.map((host) => prefix + host.replace(scheme, ''))
}

function tlsOf(credentials: IOptions['credentials'], servername: string | undefined): ClientOptions['tls'] {
  if (credentials === undefined && servername === undefined) return undefined
  const { rootCertificate: ca, certChain: cert, privateKey: key } = credentials ?? {}
  return { ca, cert, key, servername }
}

function reportUnused({ grpcOptions = {}, faultHandling = {}, hosts }: IOptions): void {
  const names = Object.keys(grpcOptions).filter((name) => !knownGrpcOptions.has(name))
  if (names.length > 0) warn('ETCD3_GRPC_OPTIONS', `\`grpcOptions\` without an effect: ${names.join(', ')}`)
  const policy = faultHandling.host?.(hostsOf({ hosts })[0] ?? defaultHost)
  if (policy !== undefined && policy.constructor.name !== 'NoopPolicy') {
    warn('ETCD3_HOST_POLICY', '`faultHandling.host` has no effect: members that fail are left alone without it')
  }
  if (faultHandling.watchBackoff !== undefined) {
    warn('ETCD3_WATCH_BACKOFF', '`faultHandling.watchBackoff` has no effect: watches have a backoff of their own')
  }
}
