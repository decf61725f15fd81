import type { Member } from '../../protobuf/generated/messages.js'
import { type Endpoint, parseEndpoints } from '../endpoint.js'

/**
 * The endpoints for a member list: the client URLs of all started members, and the configured endpoints as a fallback for
 * advertised addresses that cannot be reached from here. A client with TLS ignores addresses without it.
 */
export function memberEndpoints(members: readonly Member[], seeds: readonly Endpoint[]): readonly Endpoint[] {
  const tls = seeds.some((seed) => seed.tls)
  const found = members.flatMap(({ clientURLs }) => clientURLs.flatMap((url) => advertised(url, tls)))
  // Members may advertise one address together: that of a balancer.
  return [...new Map([...found, ...seeds].map((endpoint) => [endpoint.url, endpoint])).values()]
}

/** Ignores what is not a usable endpoint: members may advertise anything. */
function advertised(url: string, tls: boolean): readonly Endpoint[] {
  try {
    return parseEndpoints(url, { hasTls: tls }).filter((endpoint) => endpoint.tls === tls)
  } catch {
    return []
  }
}
