import { EtcdError, isEtcdError } from '../core/errors.js'
import type { Alarm } from './alarms.js'
import type { MemberHealth } from './health.js'

/** The alarms, or why they could not be read. */
export interface ListedAlarms {
  readonly alarms: readonly Alarm[]
  readonly error: unknown
}

/** What is wrong, one sentence each. */
export function problemsOf(
  members: readonly MemberHealth[],
  { alarms, error }: ListedAlarms,
  serves: boolean,
): readonly string[] {
  const sick = members.filter(({ isHealthy }) => !isHealthy)
  return [
    ...sick.map((member) => `${member.endpoint} does not serve: ${messageOf(member.error)}`),
    ...alarms.map(({ type, memberId }) => `alarm ${type} of member ${memberId}`),
    // Where nobody serves, it is for the same reason, which has been told.
    ...(serves && error !== undefined ? [`the alarms cannot be read: ${messageOf(error)}`] : []),
  ]
}

/** For a member that refuses connections, as the client has found out before. */
export function notConnected(endpoint: string, reason: string): EtcdError {
  return new EtcdError(reason, { code: 'NOT_CONNECTED', effect: 'none', retryable: true, endpoint })
}

/** Without the place, which has been said. */
function messageOf(error: unknown): string {
  if (isEtcdError(error)) return `${error.code}, ${error.rawMessage}`
  return error instanceof Error ? error.message : String(error)
}
