import { isEtcdError } from '../index.js'
import { messageOf } from './failure.js'

const noAnswer = 'no answer in time'
/** States of a connection that was not refused. */
const stillTrying = ['connecting', 'probing', 'idle']

/** Why a call to one endpoint failed. The caller shows the endpoint. */
export function unreachableReason(error: unknown): string {
  if (isEtcdError(error, 'DEADLINE_EXCEEDED')) return noAnswer
  if (!isEtcdError(error, 'NOT_CONNECTED')) return messageOf(error)
  const reason = /\(([^()]*)\)$/.exec(error.rawMessage)?.[1] ?? error.rawMessage
  return stillTrying.includes(reason) ? noAnswer : reason
}
