import { type ClientOptions, isEtcdError, type Member, type MemberStatus } from '../../index.js'
import { messageOf } from '../failure.js'
import { MemberCalls } from '../member-calls.js'

/** How long a member may take to answer, where nothing else is asked for; longer than that it is not well. */
const longestAnswerMs = 3000

/** How long members are waited for: no longer than calls may take. */
export function answerMsOf({ timeoutMs = longestAnswerMs }: ClientOptions): number {
  return Math.min(longestAnswerMs, timeoutMs)
}

/** An address that was tried, and who answers there. */
export interface Probe {
  readonly calls: MemberCalls
  readonly result: { readonly status: MemberStatus } | { readonly error: unknown }
}

/** Asks whoever is at an address for its status. Never rejects but with the signal's reason. */
export async function probe(options: ClientOptions, endpoint: string, signal: AbortSignal): Promise<Probe> {
  const timeoutMs = answerMsOf(options)
  const calls = new MemberCalls({ ...options, timeoutMs, connectTimeoutMs: timeoutMs }, endpoint)
  try {
    return { calls, result: { status: await calls.status({ signal }) } }
  } catch (error) {
    signal.throwIfAborted()
    return { calls, result: { error } }
  }
}

/** Which member has answered. */
export function memberIdOf({ result }: Probe): string | undefined {
  return 'status' in result ? result.status.memberId : undefined
}

const noAnswer = 'no answer in time'
/** States of a connection that nobody has refused. */
const stillTrying = ['connecting', 'probing', 'idle']

/** Why nobody has answered. */
export function silenceOf({ result }: Probe): string | undefined {
  if ('status' in result) return undefined
  const { error } = result
  if (isEtcdError(error, 'DEADLINE_EXCEEDED')) return noAnswer
  if (!isEtcdError(error, 'NOT_CONNECTED')) return messageOf(error)
  // The address is said already, and there is but one.
  const reason = /\(([^()]*)\)$/.exec(error.rawMessage)?.[1] ?? error.rawMessage
  return stillTrying.includes(reason) ? noAnswer : reason
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
        return await calls.members(mode, { signal })
      } catch (error) {
        signal.throwIfAborted()
        failure = error
      }
    }
  }
  throw failure
}
