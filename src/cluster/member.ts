import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'
import type { Member as WireMember } from '../protobuf/generated/messages.js'

/** A member of a cluster, as the cluster knows it. */
export interface Member {
  /** In lower-case hexadecimal, as etcdctl prints it. */
  readonly id: string
  /** Empty until the member has started for the first time. */
  readonly name: string
  /** Where the other members reach it. */
  readonly peerUrls: readonly string[]
  /** Where clients are told to reach it; empty until it has started for the first time. */
  readonly clientUrls: readonly string[]
  /** Follows the log without a vote. */
  readonly isLearner: boolean
  /** Has been up at least once since it was added. Whether it is now, `etcd.health()` tells. */
  readonly isStarted: boolean
}

/** A member out of an answer. */
export function memberOf({ ID, name, peerURLs, clientURLs, isLearner }: WireMember): Member {
  return { id: ID ?? '0', name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner, isStarted: name !== '' }
}

/** The URLs of a member's peer address, one or several. */
export function checkPeerUrls(peerUrls: unknown): string[] {
  const urls: unknown[] = Array.isArray(peerUrls) ? peerUrls : [peerUrls]
  if (urls.length > 0 && urls.every(isPeerUrl)) return urls
  const wrong = urls.find((url) => !isPeerUrl(url))
  const got = urls.length === 0 ? 'none' : describe(wrong)
  throw new InvalidArgumentError(`\`peerUrls\` must be http://host:port or https://host:port, got ${got}`)
}

function isPeerUrl(url: unknown): url is string {
  return typeof url === 'string' && /^(https?:\/\/[^\s/]+:\d+|unixs?:\/\/\S+)$/.test(url)
}
