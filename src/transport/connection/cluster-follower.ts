import type { ClusterIdentity } from './cluster-identity.js'
import type { Connection } from './connection.js'

/** The payload of `clusterFollowed`: the client has switched to another cluster. */
export interface ClusterFollowed {
  /** The ID of the former cluster. */
  readonly expected: string
  /** The ID of the new cluster. */
  readonly actual: string
  /** The endpoints that belong to the new cluster. */
  readonly agreed: readonly string[]
  /** The endpoints that could not be reached. */
  readonly unreachable: readonly string[]
}

/** What a follower needs from the set of connections. */
export interface FollowerHost {
  readonly identity: ClusterIdentity
  readonly connections: readonly Connection[]
  /** The connections to the configured endpoints. Advertised addresses may lead anywhere. */
  readonly seedConnections: readonly Connection[]
  /** Called after `identity` has adopted the other cluster. */
  followed(change: ClusterFollowed): void
}

/**
 * How long all reachable members must agree on another cluster while most endpoints are unreachable: longer than a member
 * takes to restart.
 */
const agreementMs = 5000

/**
 * Decides when the client switches to another cluster: at once when a majority of all endpoints and of the configured ones
 * belong to it; where too few can be reached, after all reachable ones have agreed on it for some seconds.
 */
export class ClusterFollower {
  readonly #host: FollowerHost
  #waiting: { readonly clusterId: string; readonly timer: NodeJS.Timeout } | undefined
  #last: ClusterFollowed | undefined

  constructor(host: FollowerHost) {
    this.#host = host
  }

  /** The last change of clusters, if there was one. */
  get last(): ClusterFollowed | undefined {
    return this.#last
  }

  /** A connection was found to belong to another cluster. */
  found({ clusterId }: Connection): void {
    if (clusterId === undefined || clusterId === this.#host.identity.clusterId) return
    const { connections, seedConnections } = this.#host
    if (isMost(connections, clusterId) && isMost(seedConnections, clusterId)) this.#follow(clusterId)
    else this.check()
  }

  /** The state of a connection has changed, and with it perhaps whether the member is reachable. */
  check(): void {
    const clusterId = this.#agreedOn()
    if (clusterId === this.#waiting?.clusterId) return
    this.stop()
    if (clusterId === undefined) return
    const timer = setTimeout(() => this.#follow(clusterId), agreementMs)
    timer.unref()
    this.#waiting = { clusterId, timer }
  }

  stop(): void {
    clearTimeout(this.#waiting?.timer)
    this.#waiting = undefined
  }

  /** The other cluster that all reachable members belong to, at least one of the configured endpoints among them. */
  #agreedOn(): string | undefined {
    const { connections, seedConnections, identity } = this.#host
    const reachable = connections.filter(isReachable)
    const clusterId = reachable[0]?.clusterId
    if (clusterId === undefined || clusterId === identity.clusterId) return undefined
    const agree = reachable.every((each) => each.clusterId === clusterId)
    return agree && reachable.some((each) => seedConnections.includes(each)) ? clusterId : undefined
  }

  #follow(clusterId: string): void {
    this.stop()
    const { identity, connections } = this.#host
    const agreed = connections.filter((each) => each.clusterId === clusterId)
    const unreachable = connections.filter((each) => !isReachable(each))
    const change: ClusterFollowed = {
      expected: identity.clusterId ?? '',
      actual: clusterId,
      agreed: agreed.map(({ url }) => url),
      unreachable: unreachable.map(({ url }) => url),
    }
    this.#last = change
    identity.adopt(clusterId)
    this.#host.followed(change)
    for (const each of agreed) each.probeNow()
  }
}

/** Whether it takes part in the agreement: a connection to an unresponsive member counts as none. */
function isReachable({ state, isConnected, clusterId }: Connection): boolean {
  if (state.kind === 'ready') return true
  const silent = (state.kind === 'ejected' ? state.reason : state.kind === 'probing' && state.after) === 'unresponsive'
  return isConnected && clusterId !== undefined && !silent
}

function isMost(connections: readonly Connection[], clusterId: string): boolean {
  return connections.filter((each) => each.clusterId === clusterId).length * 2 > connections.length
}
