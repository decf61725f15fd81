import { type ClientOptions, isEtcdError, type Member, type MemberStatus } from '../../index.js'
import { MemberCalls } from '../member-calls.js'
import { unreachableReason } from '../unreachable.js'

/** Default time limit for a member's answer. A healthy member answers sooner. */
const maxAnswerMs = 3000

/** The time limit for a member's answer, at most that of calls. */
export function answerMsOf({ timeoutMs = maxAnswerMs }: ClientOptions): number {
  return Math.min(maxAnswerMs, timeoutMs)
}

/** An address and the answer from it. */
export interface Probe {
  readonly calls: MemberCalls
  readonly result: { readonly status: MemberStatus } | { readonly error: unknown }
}

/** Requests the status of the member at an address. Rejects only with the signal's reason. */
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

/** The ID of the member that answered. */
export function memberIdOf({ result }: Probe): string | undefined {
  return 'status' in result ? result.status.memberId : undefined
}

/** Why there was no answer. */
export function silenceOf({ result }: Probe): string | undefined {
  if ('status' in result) return undefined
  return unreachableReason(result.error)
}

const refusals = ['USER_EMPTY', 'PERMISSION_DENIED', 'AUTH_FAILED', 'INVALID_AUTH_TOKEN', 'AUTH_NOT_ENABLED'] as const

/** The error of a member that answers, but rejects this user. */
export function refusalOf({ result }: Probe): unknown {
  return 'error' in result && refusals.some((code) => isEtcdError(result.error, code)) ? result.error : undefined
}

/** The list of members from the first that answers, linearizable if possible. */
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
