import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'
import type { Member as WireMember } from '../protobuf/generated/messages.js'

/** A member of a cluster, as registered in the cluster. */
export interface Member {
  /** Lower-case hexadecimal, as etcdctl prints it. */
  readonly id: string
  /** Empty until the member has started for the first time. */
  readonly name: string
  /** The URLs for other members. */
  readonly peerUrls: readonly string[]
  /** The URLs that the member advertises to clients; empty until it has started for the first time. */
  readonly clientUrls: readonly string[]
  /** Whether it replicates the log without a vote. */
  readonly isLearner: boolean
  /** Whether it has started at least once since it was added. `etcd.health()` reports whether it is running now. */
  readonly isStarted: boolean
}

/** Converts a member of a response. */
export function memberOf({ ID, name, peerURLs, clientURLs, isLearner }: WireMember): Member {
  return { id: ID ?? '0', name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner, isStarted: name !== '' }
}

/** Validates one or several peer URLs. */
export function checkPeerUrls(peerUrls: unknown): string[] {
  const urls: unknown[] = Array.isArray(peerUrls) ? [...peerUrls] : [peerUrls]
  if (urls.length > 0 && urls.every(isPeerUrl)) return urls
  const wrong = urls.find((url) => !isPeerUrl(url))
  const got = urls.length === 0 ? 'none' : describe(wrong)
  throw new InvalidArgumentError(`\`peerUrls\` must be http://host:port or https://host:port, got ${got}`)
}

function isPeerUrl(url: unknown): url is string {
  return typeof url === 'string' && /^(https?:\/\/[^\s/]+:\d+|unixs?:\/\/\S+)$/.test(url)
}
