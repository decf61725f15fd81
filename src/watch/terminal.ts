import { type ErrorCode, isEtcdError } from '../core/errors.js'

const terminal: ReadonlySet<ErrorCode> = new Set([
  'AUTH_FAILED',
  'CLOSED',
  'EMPTY_KEY',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
])

/** Whether another attempt would fail in the same way. After any other error a watch resumes, however long that takes. */
export function isTerminal(error: unknown): boolean {
  return isEtcdError(error) ? terminal.has(error.code) : error instanceof TypeError
}
