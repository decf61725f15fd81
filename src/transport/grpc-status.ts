import { EtcdError, type ErrorCode } from '../core/errors.js'
export function isTransportCode(code: ErrorCode): boolean { return ['NOT_CONNECTED','CONNECTION_LOST','DEADLINE_EXCEEDED','UNIMPLEMENTED','MESSAGE_TOO_LARGE','PROTOCOL_ERROR','LEADER_LOST','UNKNOWN'].includes(code) }
export function toEtcdError(status: { code: number; details: string }, c: { method: string; endpoint: string; sent: boolean; deadlineAt: number; now: number }): EtcdError {
  const d = status.details
  const mk = (code: ErrorCode, effect: 'none'|'unknown', retryable: boolean) => new EtcdError(d, { code, effect, retryable, grpcCode: status.code, method: c.method, endpoint: c.endpoint })
  if (d.includes('no leader')) return mk('NO_LEADER', 'none', true)
  if (d.includes('leader changed')) return mk('LEADER_CHANGED', 'unknown', true)
  if (d.includes('request timed out')) return mk('SERVER_TIMEOUT', 'unknown', true)
  if (d.includes('learner')) return mk('NOT_SUPPORTED_FOR_LEARNER', 'none', true)
  if (status.code === 4 || (status.code === 1 && c.now >= c.deadlineAt)) return mk('DEADLINE_EXCEEDED', 'unknown', false)
  if (status.code === 14) return d.startsWith('No connection') ? mk('NOT_CONNECTED', 'none', true) : mk('CONNECTION_LOST', 'unknown', true)
  if (status.code === 11) return mk('COMPACTED', 'none', false)
  return mk('UNKNOWN', 'unknown', false)
}
