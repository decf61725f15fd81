import type { Member } from '../../protobuf/generated/messages.js'
import { type Endpoint, parseEndpoints } from '../endpoint.js'

/**
 * The endpoints that a member list stands for: the client URLs of all members that have started, and the endpoints the
 * client was given, as a fallback for addresses that cannot be reached from here. Addresses without TLS are never taken
 * by a client that uses it.
 */
export function memberEndpoints(members: readonly Member[], seeds: readonly Endpoint[]): readonly Endpoint[] {
  const tls = seeds.some((seed) => seed.tls)
  const found = members.flatMap(({ clientURLs }) => clientURLs.flatMap((url) => advertised(url, tls)))
  const known = new Set(found.map(({ url }) => url))
  return [...found, ...seeds.filter(({ url }) => !known.has(url))]
}

/** Members may advertise anything; what is no usable endpoint is left out. */
function advertised(url: string, tls: boolean): readonly Endpoint[] {
  try {
    return parseEndpoints(url, { hasTls: tls }).filter((endpoint) => endpoint.tls === tls)
  } catch {
    return []
  }
}
