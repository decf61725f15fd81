import { isIPv4, isIPv6 } from 'node:net'
import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'

/** One address of a member. */
export interface Endpoint {
  /** As users see it, with scheme and port: `http://10.0.0.1:2379`. */
  readonly url: string
  readonly tls: boolean
  /** As grpc-js takes it: `ipv4:10.0.0.1:2379`. */
  readonly target: string
}

/** What a connection string holds. */
export interface ConnectionString {
  readonly endpoints: readonly string[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly namespace: string | undefined
}

const defaultPort = 2379
const forms = 'http://host:port, https://host:port, host:port, unix:/path or unixs:/path'

/**
 * Parses endpoints, each one a string of one or several separated by commas. `https` and `unixs` mean TLS, `http` means
 * none, and those without a scheme and `unix` use TLS if `hasTls`. A mixture is refused, since a credential would be sent
 * in clear to some; so is TLS material beside `http`. Throws `InvalidArgumentError`, which never shows a password.
 */
export function parseEndpoints(
  input: string | readonly string[],
  { hasTls }: { hasTls: boolean },
): readonly Endpoint[] {
  const parts = partsOf(input)
  if (parts.length === 0) throw invalid('name at least one endpoint', 'none')
  const endpoints = new Map(
    parts.map((part) => parseEndpoint(part, hasTls)).map((endpoint) => [endpoint.url, endpoint]),
  )
  const list = [...endpoints.values()]
  const [secure, plain] = [list.find(({ tls }) => tls), list.find(({ tls }) => !tls)]
  if (secure !== undefined && plain !== undefined) {
    throw invalid('use TLS for all or for none', `${secure.url} and ${plain.url}`)
  }
  if (hasTls && plain !== undefined) throw invalid('be https when `tls` is given', plain.url)
  return list
}

/** Parses `etcd://user:password@host1,host2:2380/namespace`; `etcds://` is the same over TLS. */
export function parseConnectionString(text: string): ConnectionString {
  const [, scheme, userinfo, hosts = '', path = ''] = /^(etcds?):\/\/(?:(.*)@)?([^/@]*)(?:\/(.*))?$/s.exec(text) ?? []
  if (scheme === undefined || hosts === '') {
    throw new InvalidArgumentError('a connection string must be etcd://[user:password@]host[:port][,host…][/namespace]')
  }
  const [username, password] = userinfo === undefined ? [] : splitOnce(userinfo, ':')
  return {
    endpoints: hosts.split(',').map((host) => `${scheme === 'etcds' ? 'https' : 'http'}://${host}`),
    username: decode(username),
    password: decode(password),
    namespace: path === '' ? undefined : decode(path),
  }
}

function partsOf(input: string | readonly string[]): readonly string[] {
  const texts = typeof input === 'string' ? [input] : input
  if (!Array.isArray(texts) || texts.some((text) => typeof text !== 'string')) {
    throw invalid('be a string or an array of strings', describe(input))
  }
  return texts.flatMap((text: string) => text.split(',').map((part) => part.trim()))
}

function parseEndpoint(text: string, hasTls: boolean): Endpoint {
  const [, scheme, rest = ''] = /^(?:([a-z]+):(?!\d+$))?(.*)$/is.exec(text) ?? []
  switch (scheme?.toLowerCase()) {
    case undefined:
      return tcpEndpoint(text, text, hasTls)
    case 'http':
    case 'https':
      if (!rest.startsWith('//')) throw invalid(`be ${forms}`, shown(text))
      return tcpEndpoint(text, rest.slice(2).replace(/\/$/, ''), scheme?.toLowerCase() === 'https')
    case 'unix':
      return unixEndpoint(text, rest, 'unix', hasTls)
    case 'unixs':
      return unixEndpoint(text, rest, 'unixs', true)
    default:
      throw invalid(`be ${forms}`, shown(text))
  }
}

function tcpEndpoint(text: string, address: string, tls: boolean): Endpoint {
  if (address.includes('@')) {
    throw invalid('have no user and password: give those as `auth`, or use etcd://', shown(text))
  }
  const [, bracketed, name, portText] = /^(?:\[([^\]]+)\]|([^:/?#[\]\s]+))(?::(\d+))?$/.exec(address) ?? []
  const host = bracketed ?? name
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed))) throw invalid(`be ${forms}`, shown(text))
  const port = portText === undefined ? defaultPort : Number(portText)
  if (port < 1 || port > 65_535) throw invalid('have a port from 1 to 65535', shown(text))
  const shownHost = bracketed === undefined ? host.toLowerCase() : `[${host}]`
  return { url: `${tls ? 'https' : 'http'}://${shownHost}:${port}`, tls, target: tcpTarget(host, port) }
}

function tcpTarget(host: string, port: number): string {
  if (isIPv4(host)) return `ipv4:${host}:${port}`
  if (isIPv6(host)) return `ipv6:[${host}]:${port}`
  return `dns:${host}:${port}`
}

function unixEndpoint(text: string, rest: string, scheme: 'unix' | 'unixs', tls: boolean): Endpoint {
  const path = rest.startsWith('//') ? rest.slice(2) : rest
  if (path === '') throw invalid('have a path after unix:', shown(text))
  return { url: `${scheme}:${path}`, tls, target: `unix:${path}` }
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    throw new InvalidArgumentError('a connection string has a `%` that is not followed by two hexadecimal digits')
  }
}

/** An endpoint as error messages show it, without what may be a password. */
function shown(text: string): string {
  return describe(text.replace(/\/\/.*@/s, '//…@').replace(/^[^/]*@/s, '…@'))
}

function invalid(expected: string, actual: string): InvalidArgumentError {
  return new InvalidArgumentError(`\`endpoints\` must ${expected}, got ${actual}`)
}
