import type { Alarm } from './alarms.js'

/** How a member does. */
export interface MemberHealth {
  readonly endpoint: string
  /** It answered a linearizable read, or, a learner, a serializable one. To refuse the caller's right to read counts as well. */
  readonly isHealthy: boolean
  /** How long it took to find out, in milliseconds. */
  readonly durationMs: number
  /** As far as it is known; `undefined` for a member that could not be reached yet. */
  readonly memberId: string | undefined
  readonly isLearner: boolean
  /** Why it is not healthy: an `EtcdError`. `NO_LEADER` if it knows of no leader. */
  readonly error: unknown
}

/** How a cluster does, as seen through the endpoints of a client. */
export interface Health {
  /**
   * `healthy`: all members serve, and there is no alarm. `degraded`: the cluster serves reads, but a member does not,
   * or there is an alarm, with which it may refuse writes. `unhealthy`: no member answered a linearizable read.
   */
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  /** What is wrong, one sentence each, for logs; empty if it is healthy. */
  readonly problems: readonly string[]
  readonly members: readonly MemberHealth[]
  readonly alarms: readonly Alarm[]
}
