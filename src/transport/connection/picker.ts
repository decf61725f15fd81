import type { Route } from '../transport.js'
import type { Connection } from './connection.js'
import { ejectReasonOf } from './connection-state.js'
import type { EjectReason } from './ejection.js'

/**
 * Picks the connection for a call: round-robin over the healthy voting members, unless the route of a serializable read prefers
 * the nearest member, the leader or a learner. The candidates are computed when a connection changes its state, so that a
 * plain pick is one array access.
 */
export class Picker {
  #connections: readonly Connection[] = []
  #voters: readonly Connection[] = []
  #learners: readonly Connection[] = []
  /** Starts at random: otherwise the first call and the streams of all clients would go to the same member. */
  #cursor = Math.floor(Math.random() * 1000)

  /** Learners that are ready. No call shows when one is promoted, since none is sent to it. */
  get learners(): readonly Connection[] {
    return this.#learners
  }

  /** Updates the candidates to the connections and their current states. */
  update(connections: readonly Connection[]): void {
    this.#connections = connections
    const ready = connections.filter((c) => c.state.kind === 'ready')
    this.#voters = onePerMember(ready.filter((c) => c.role !== 'learner'))
    this.#learners = ready.filter((c) => c.role === 'learner')
  }

  /** The next connection for `route`, if possible not one of `excludedEndpoints`; `undefined` if there is none. */
  pick(route: Route, excludedEndpoints: ReadonlySet<string> | undefined): Connection | undefined {
    const simple = route.prefer === undefined && route.endpoint === undefined && excludedEndpoints === undefined
    if (simple && this.#voters.length > 0) return this.#next(this.#voters)
    const candidates = this.#candidates(route)
    const fresh = excludedEndpoints === undefined ? candidates : candidates.filter((c) => !excludedEndpoints.has(c.url))
    return this.#next(fresh.length > 0 ? fresh : candidates)
  }

  /** Whether `route` may use a healthy member that has not failed this call yet. */
  hasUntriedEndpoint(route: Route, excludedEndpoints: ReadonlySet<string>): boolean {
    return route.endpoint === undefined && this.#healthy(route).some((c) => !excludedEndpoints.has(c.url))
  }

  #next(candidates: readonly Connection[]): Connection | undefined {
    if (candidates.length === 0) return undefined
    this.#cursor = (this.#cursor + 1) % candidates.length
    return candidates[this.#cursor]
  }

  #candidates(route: Route): readonly Connection[] {
    if (route.endpoint !== undefined) {
      return this.#connections.filter((c) => c.url === route.endpoint && c.isConnected)
    }
    const healthy = this.#healthy(route)
    if (healthy.length > 0) return preferred(healthy, route)
    return route.healthyOnly === true ? [] : this.#lastResort(route)
  }

  #healthy(route: Route): readonly Connection[] {
    const learnersToo = route.serializable && route.prefer !== undefined && route.prefer !== 'leader'
    if (!learnersToo) return this.#voters
    return onePerMember(this.#connections.filter((c) => c.state.kind === 'ready'))
  }

  /**
   * Where no member is healthy, calls go to ejected ones, preferably to those without a leader, which serve serializable reads
   * and refuse everything else at once.
   */
  #lastResort(route: Route): readonly Connection[] {
    const ejected = this.#connections.filter(
      (c) => mayServe(ejectReasonOf(c.state)) && (route.serializable || c.role !== 'learner'),
    )
    const alive = ejected.filter((c) => ejectReasonOf(c.state) === 'no leader')
    return alive.length > 0 ? alive : ejected
  }
}

/** A proxy without a member, or a member of another cluster, serves nothing. */
function mayServe(reason: EjectReason | undefined): boolean {
  return reason !== undefined && reason !== 'other cluster' && reason !== 'unavailable'
}

function preferred(connections: readonly Connection[], { prefer }: Route): readonly Connection[] {
  switch (prefer) {
    case undefined:
      return connections
    case 'nearest':
      return nearest(connections)
    case 'leader':
    case 'learner': {
      const wanted = connections.filter((c) => c.role === prefer)
      return wanted.length > 0 ? wanted : connections
    }
  }
}

function nearest(connections: readonly Connection[]): readonly Connection[] {
  const latencyOf = (c: Connection): number => c.latencyMs ?? Number.POSITIVE_INFINITY
  const best = Math.min(...connections.map(latencyOf))
  return connections.filter((c) => latencyOf(c) <= best)
}

/** Without this, a member with two addresses would get twice the calls. */
function onePerMember(connections: readonly Connection[]): readonly Connection[] {
  const seen = new Set<string>()
  return connections.filter(({ memberId }) => {
    if (memberId === undefined) return true
    if (seen.has(memberId)) return false
    seen.add(memberId)
    return true
  })
}
