import { isIP } from 'node:net'
import type { Attributes } from '@opentelemetry/api'

const defaultPort = 2379

/** The server address and port of an endpoint, as it was given to the client. */
export function serverAttributes(endpoint: string | undefined): Attributes {
  if (endpoint === undefined) return {}
  if (!/^https?:/.test(endpoint))
    return { 'server.address': endpoint.replace(/^unixs?:/, ''), 'network.transport': 'unix' }
  const address = new URL(endpoint).hostname.replace(/^\[|\]$/g, '')
  // A URL has no port where that is the default one of its scheme, such as 443.
  const number = Number(/:(\d+)$/.exec(endpoint)?.[1] ?? defaultPort)
  return {
    'server.address': address,
    ...(number === defaultPort ? {} : { 'server.port': number }),
    ...(isIP(address) === 0 ? {} : { 'network.peer.address': address }),
  }
}

/** The same for metrics, without the address of the peer. */
export function meteredServer(endpoint: string | undefined): Attributes {
  const { 'server.address': address, 'server.port': port } = serverAttributes(endpoint)
  return { 'server.address': address, 'server.port': port }
}
