import { EtcdError, isEtcdError } from '../core/errors.js'
import { messageOf } from '../core/thrown.js'
import type { Alarm } from './alarms.js'
import type { MemberHealth } from './health.js'

/** The alarms, or why they could not be read. */
export interface ListedAlarms {
  readonly alarms: readonly Alarm[]
  readonly error: unknown
}

/** Describes the problems, one sentence each. */
export function problemsOf(
  members: readonly MemberHealth[],
  { alarms, error }: ListedAlarms,
  serves: boolean,
): readonly string[] {
  const sick = members.filter(({ isHealthy }) => !isHealthy)
  return [
    ...sick.map((member) => `${member.endpoint} does not serve: ${reasonOf(member.error)}`),
    ...alarms.map(({ type, memberId }) => `alarm ${type} of member ${memberId}`),
    // Without a serving member the reason is the same, and already listed.
    ...(serves && error !== undefined ? [`the alarms cannot be read: ${reasonOf(error)}`] : []),
  ]
}

/** The error of a member that the client already knows to refuse connections. */
export function notConnected(endpoint: string, reason: string): EtcdError {
  return new EtcdError(reason, { code: 'NOT_CONNECTED', effect: 'none', retryable: true, endpoint })
}

/** The message without the endpoint, which precedes it. */
function reasonOf(error: unknown): string {
  return isEtcdError(error) ? `${error.code}, ${error.rawMessage}` : messageOf(error)
}
