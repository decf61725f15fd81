import { type ClientOptions, isEtcdError } from '../../index.js'
import { messageOf } from '../failure.js'
import { type Member, MemberCalls, type MemberStatus } from '../member-calls.js'

/** How long a member may take to answer; longer than that it is not well, whatever it would say. */
export const answerMs = 3000

/** An address that was tried, and who answers there. */
export interface Probe {
  readonly calls: MemberCalls
  readonly result: { readonly status: MemberStatus } | { readonly error: unknown }
}

/** Asks whoever is at an address for its status. Never rejects but with the signal's reason. */
export async function probe(options: ClientOptions, endpoint: string, signal: AbortSignal): Promise<Probe> {
  const calls = new MemberCalls({ ...options, connectTimeoutMs: answerMs }, endpoint)
  try {
    return { calls, result: { status: await calls.status({ timeoutMs: answerMs, signal }) } }
  } catch (error) {
    signal.throwIfAborted()
    return { calls, result: { error } }
  }
}

/** Which member has answered. */
export function memberIdOf({ result }: Probe): string | undefined {
  return 'status' in result ? result.status.memberId : undefined
}

/** Why nobody has answered. */
export function silenceOf({ result }: Probe): string | undefined {
  if ('status' in result) return undefined
  const { error } = result
  // The address is said already, and there is but one.
  if (isEtcdError(error, 'NOT_CONNECTED')) return /\(([^()]*)\)$/.exec(error.rawMessage)?.[1] ?? error.rawMessage
  if (isEtcdError(error, 'DEADLINE_EXCEEDED')) return `no answer within ${answerMs / 1000} s`
  return messageOf(error)
}

const refusals = ['USER_EMPTY', 'PERMISSION_DENIED', 'AUTH_FAILED', 'INVALID_AUTH_TOKEN', 'AUTH_NOT_ENABLED'] as const

/** The error of a member that answers, but not to this user. */
export function refusalOf({ result }: Probe): unknown {
  return 'error' in result && refusals.some((code) => isEtcdError(result.error, code)) ? result.error : undefined
}

/** The list of members, from the first that tells; by agreement of all if there is one. */
export async function memberList(probes: readonly Probe[], signal: AbortSignal): Promise<readonly Member[]> {
  let failure: unknown
  for (const mode of ['linearizable', 'serializable'] as const) {
    for (const { calls, result } of probes) {
      if (!('status' in result) || result.status.isLearner) continue
      try {
        return await calls.members(mode, { timeoutMs: answerMs, signal })
      } catch (error) {
        signal.throwIfAborted()
        failure = error
      }
    }
  }
  throw failure
}
