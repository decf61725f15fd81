import { isIPv4, isIPv6 } from 'node:net'
import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'

/** One address of a member. */
export interface Endpoint {
  /** As users see it, with scheme and port, without credentials: `http://10.0.0.1:2379`. */
  readonly url: string
  readonly tls: boolean
  /** As grpc-js takes it: `ipv4:10.0.0.1:2379`. */
  readonly target: string
  /** The name that the member's certificate is verified for: the host, and `localhost` for a socket file. */
  readonly serverName: string
}

/** What a connection string holds. */
export interface ConnectionString {
  /** With scheme and port, as `parseEndpoints` takes them. */
  readonly endpoints: readonly string[]
  readonly username: string | undefined
  readonly password: string | undefined
  /** Everything after the slash that ends the hosts: `etcd://h/a/` is `a/`. */
  readonly namespace: string | undefined
}

const defaultPort = 2379
const forms = 'http://host:port, https://host:port, host:port, unix:/path or unixs:/path'

/**
 * Parses endpoints, each one a string of one or several separated by commas; a port that is not given is 2379. `https`
 * and `unixs` mean TLS, `http` means none, and those without a scheme and `unix` use TLS if `hasTls`, whatever stands
 * before them in the list. A mixture is refused, since a credential would be sent in clear to some; so is TLS material
 * beside `http`. Throws `InvalidArgumentError`, which never shows a password.
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
    throw invalid('use TLS for all or for none', `${secure.url} and ${plain.url}`)
  }
  if (hasTls && plain !== undefined) throw invalid('be https when `tls` is given', plain.url)
  return endpoints
}

/**
 * Parses `etcd://user:password@host1,host2:2380/namespace`; `etcds://` is the same over TLS. User, password and namespace
 * are percent-decoded. Throws `InvalidArgumentError`, which never shows anything of the text, a password being part of it.
 */
export function parseConnectionString(text: string): ConnectionString {
  if (typeof text !== 'string') throw invalidString('be text', describe(text))
  const [, scheme, authority = '', path = ''] = /^(etcds?):\/\/([^/]*)(?:\/(.*))?$/s.exec(text) ?? []
  if (scheme === undefined) throw invalidString('be etcd://[user:password@]host[:port][,host…][/namespace]')
  // A slash in a password that is not encoded would make a host of the user name and a namespace of the real host.
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

/** A password may hold a comma, hence credentials are looked for before any part is shown on its own. */
function split(text: string): readonly string[] {
  const parts = text.split(',').map((part) => part.trim())
  if (parts.some((part) => part.includes('@') && !/^unixs?:/i.test(part))) {
    const scheme = /^\s*((?:https?|etcds?):\/\/)/i.exec(text)?.[1] ?? ''
    const shown = describe(`${scheme}…${text.slice(text.lastIndexOf('@'))}`)
    throw invalid('have no user and password: give those as `auth`, or use etcd://', shown)
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
  // The authority that grpc-js uses for every socket file.
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
