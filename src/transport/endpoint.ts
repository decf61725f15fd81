import { isIPv4, isIPv6 } from 'node:net'
import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'

/** One client address of a member. */
export interface Endpoint {
  /** The normalized URL with scheme and port, without credentials: `http://10.0.0.1:2379`. */
  readonly url: string
  readonly tls: boolean
  /** The target in the notation of grpc-js: `ipv4:10.0.0.1:2379`. */
  readonly target: string
  /** The name that the member's certificate is verified for: the host, or `localhost` for a Unix socket. */
  readonly serverName: string
}

/** The parts of a connection string. */
export interface ConnectionString {
  /** URLs with scheme and port. */
  readonly endpoints: readonly string[]
  readonly username: string | undefined
  readonly password: string | undefined
  /** Everything after the slash that follows the hosts: `a/` for `etcd://h/a/`. */
  readonly namespace: string | undefined
}

const defaultPort = 2379
const forms = 'http://host:port, https://host:port, host:port, unix:/path or unixs:/path'

/**
 * Parses endpoints; each string is one endpoint or several separated by commas. The default port is 2379. `https` and `unixs`
 * use TLS, `http` does not, and `unix` and endpoints without a scheme use TLS if `hasTls`. Mixing both is rejected, since
 * credentials would be sent unencrypted to some members, and so is `http` with TLS material. Throws `InvalidArgumentError`, whose
 * message never contains a password.
 */
export function parseEndpoints(
  input: string | readonly string[],
  { hasTls }: { hasTls: boolean },
): readonly Endpoint[] {
  const parsed = partsOf(input).map((part) => parseEndpoint(part, hasTls))
  if (parsed.length === 0) throw new InvalidArgumentError('`endpoints` is empty: at least one endpoint is required')
  const endpoints = [...new Map(parsed.map((endpoint) => [endpoint.url, endpoint])).values()]
  const secure = endpoints.find(({ tls }) => tls)
  const plain = endpoints.find(({ tls }) => !tls)
  if (secure !== undefined && plain !== undefined) {
    throw invalid('all use TLS or all use plain text', `${secure.url} and ${plain.url}`)
  }
  if (hasTls && plain !== undefined) throw invalid('use https when `tls` is given', plain.url)
  return endpoints
}

/**
 * Parses `etcd://user:password@host1,host2:2380/namespace`; `etcds://` uses TLS. User, password and namespace are
 * percent-decoded. Throws `InvalidArgumentError`, whose message contains nothing of the text, since that contains a password.
 */
export function parseConnectionString(text: string): ConnectionString {
  if (typeof text !== 'string') throw invalidString('be text', describe(text))
  const [, scheme, authority = '', path = ''] = /^(etcds?):\/\/([^/]*)(?:\/(.*))?$/s.exec(text) ?? []
  if (scheme === undefined) throw invalidString('be etcd://[user:password@]host[:port][,host…][/namespace]')
  // With an unencoded slash in the password, the user name would be parsed as the host, and the host as the namespace.
  if (path.includes('@')) throw invalidString('have %2F for `/` in a password, and %40 for `@` in a namespace')
  if (/[?#]/.test(path)) throw invalidString('end after the namespace, in which `?` is %3F and `#` is %23')
  const at = authority.lastIndexOf('@')
  const hosts = authority.slice(at + 1).split(',')
  return {
    endpoints: hosts.map((host, index) => hostUrl(host, index, scheme === 'etcds')),
    ...(at < 0 ? { username: undefined, password: undefined } : credentials(authority.slice(0, at))),
    namespace: path === '' ? undefined : decode(path),
  }
}

function partsOf(input: string | readonly string[]): readonly string[] {
  const texts = typeof input === 'string' ? [input] : input
  if (!Array.isArray(texts)) throw invalid('be a string or an array of strings', describe(input))
  return texts.flatMap((text: unknown) => {
    if (typeof text !== 'string') throw invalid('be a string or an array of strings', `${describe(text)} in it`)
    return split(text)
  })
}

/** Credentials are rejected before parts are shown in errors: a password may contain a comma. */
function split(text: string): readonly string[] {
  const parts = text.split(',').map((part) => part.trim())
  if (parts.some((part) => part.includes('@') && !/^unixs?:/i.test(part))) {
    const scheme = /^\s*((?:https?|etcds?):\/\/)/i.exec(text)?.[1] ?? ''
    const shown = describe(`${scheme}…${text.slice(text.lastIndexOf('@'))}`)
    throw invalid('not contain user and password: use the option `auth`, or an etcd:// URL', shown)
  }
  return parts
}

function parseEndpoint(text: string, hasTls: boolean): Endpoint {
  const [, scheme = '', rest = ''] = /^(?:(https?|unixs?|[a-z][a-z0-9+.-]*(?=:\/\/)):)?(.*)$/is.exec(text) ?? []
  switch (scheme.toLowerCase()) {
    case '':
      return tcpEndpoint(text, text, hasTls)
    case 'http':
    case 'https':
      if (!rest.startsWith('//')) throw invalid(`be ${forms}`, describe(text))
      return tcpEndpoint(text, rest.slice(2), scheme.toLowerCase() === 'https')
    case 'unix':
      return unixEndpoint(text, rest, 'unix', hasTls)
    case 'unixs':
      return unixEndpoint(text, rest, 'unixs', true)
    default:
      throw invalid(`be ${forms}`, describe(text))
  }
}

function tcpEndpoint(text: string, address: string, tls: boolean): Endpoint {
  const [, bracketed, name, portText] = /^(?:\[([^\]]+)\]|([^\p{Cc}\s:/?#@[\]\\]+))(?::(\d+))?\/?$/u.exec(address) ?? []
  const host = (bracketed ?? name)?.toLowerCase()
  if (host === undefined || (bracketed !== undefined && !isIPv6(host))) throw invalid(`be ${forms}`, describe(text))
  const port = portText === undefined ? defaultPort : Number(portText)
  if (port < 1 || port > 65_535) throw invalid('have a port from 1 to 65535', describe(text))
  const shownHost = bracketed === undefined ? host : `[${host}]`
  return {
    url: `${tls ? 'https' : 'http'}://${shownHost}:${port}`,
    tls,
    target: `${targetScheme(host)}:${shownHost}:${port}`,
    serverName: host,
  }
}

function targetScheme(host: string): string {
  if (isIPv4(host)) return 'ipv4'
  return isIPv6(host) ? 'ipv6' : 'dns'
}

function unixEndpoint(text: string, rest: string, scheme: 'unix' | 'unixs', tls: boolean): Endpoint {
  const path = rest.startsWith('//') ? rest.slice(2) : rest
  if (path === '') throw invalid(`have a path after ${scheme}:`, describe(text))
  // grpc-js uses this authority for every Unix socket.
  return { url: `${scheme}:${path}`, tls, target: `unix:${path}`, serverName: 'localhost' }
}

function hostUrl(host: string, index: number, tls: boolean): string {
  try {
    return tcpEndpoint(host, host, tls).url
  } catch {
    throw invalidString(`have host, host:port or [IPv6]:port as its host ${index + 1}`)
  }
}

function credentials(userinfo: string): Pick<ConnectionString, 'username' | 'password'> {
  const colon = userinfo.indexOf(':')
  const username = colon < 0 ? userinfo : userinfo.slice(0, colon)
  if (username === '') throw invalidString('have a user before the `@`')
  return { username: decode(username), password: colon < 0 ? undefined : decode(userinfo.slice(colon + 1)) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalidString('have two hexadecimal digits of UTF-8 after each `%`; `%` itself is %25')
  }
}

function invalid(expected: string, actual: string): InvalidArgumentError {
  return new InvalidArgumentError(`\`endpoints\` must ${expected}, got ${actual}`)
}

function invalidString(expected: string, actual?: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `a connection string must ${expected}${actual === undefined ? '' : `, got ${actual}`}`,
  )
}
