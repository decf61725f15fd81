import type { Alarm } from './alarms.js'

/** The health of one member. */
export interface MemberHealth {
  readonly endpoint: string
  /**
   * Whether it answered a linearizable read (a learner: a serializable read). `PERMISSION_DENIED` counts as an answer.
   */
  readonly isHealthy: boolean
  /** Duration of the check in milliseconds. */
  readonly durationMs: number
  /** `undefined` if the client has never reached the member. */
  readonly memberId: string | undefined
  readonly isLearner: boolean
  /** Why the member is not healthy: an `EtcdError`, for example `NO_LEADER`. */
  readonly error: unknown
}

/** The health of a cluster, as seen through the client's endpoints. */
export interface Health {
  /**
   * `healthy`: all members serve requests, and no alarm is active. `degraded`: the cluster serves reads, but a member
   * does not respond, or an alarm is active and the cluster may reject writes. `unhealthy`: no member answered a
   * linearizable read.
   */
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  /** A description of each problem, for logs; empty if the cluster is healthy. */
  readonly problems: readonly string[]
  readonly members: readonly MemberHealth[]
  readonly alarms: readonly Alarm[]
}
