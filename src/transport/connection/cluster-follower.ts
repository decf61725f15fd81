import type { ClusterIdentity } from './cluster-identity.js'
import type { Connection } from './connection.js'

/** A client has gone on with another cluster. */
export interface ClusterFollowed {
  /** The ID of the cluster before. */
  readonly expected: string
  /** The ID of the cluster from now on. */
  readonly actual: string
  /** The endpoints that belong to it. */
  readonly agreed: readonly string[]
  /** The endpoints that could not be asked. */
  readonly unreachable: readonly string[]
}

/** What a follower needs from the set of connections. */
export interface FollowerHost {
  readonly identity: ClusterIdentity
  readonly connections: readonly Connection[]
  /** Those to the endpoints that were given. What members advertise may lead anywhere. */
  readonly seedConnections: readonly Connection[]
  /** Told after `identity` has taken the other cluster for its own. */
  followed(change: ClusterFollowed): void
}

/**
 * How long all members that can be reached must agree on another cluster, where most endpoints cannot be reached: longer
 * than a member takes to restart.
 */
const agreementMs = 5000

/**
 * Decides when another cluster has taken the place of the client's own: at once when most endpoints belong to it, and most
 * of those that were given. Where too few of them can be reached for that, when all that can be agree for some seconds.
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

  /** The state of a connection has changed: it may be reachable now, or not any more. */
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

  /** The other cluster that all members belong to which can be reached, one of the endpoints that were given among them. */
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

/** Whether it takes part in the agreement: a connection to a member that does not answer is as good as none. */
function isReachable({ state, isConnected, clusterId }: Connection): boolean {
  if (state.kind === 'ready') return true
  const silent = (state.kind === 'ejected' ? state.reason : state.kind === 'probing' && state.after) === 'unresponsive'
  return isConnected && clusterId !== undefined && !silent
}

function isMost(connections: readonly Connection[], clusterId: string): boolean {
  return connections.filter((each) => each.clusterId === clusterId).length * 2 > connections.length
}
