import type { CallOutcome } from './records.js'

/** An operation as etcd's own documents name it, for example `range` or `lease.grant`, of an RPC such as `Lease.LeaseGrant`. */
export function operationName(method: string): string {
  const [service = '', rpc = ''] = method.split('.')
  if (service === 'KV') return lowerFirst(rpc)
  const own = rpc.startsWith(service) && rpc !== service ? rpc.slice(service.length) : rpc
  return `${lowerFirst(service)}.${lowerFirst(own)}`
}

/** The codes of gRPC, as Go's metrics have them. */
const goCodes = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const

/** What a call that never got a status of a member would have had as one. */
const localCodes: Readonly<Record<string, number>> = {
  DEADLINE_EXCEEDED: 4,
  NOT_CONNECTED: 14,
  CONNECTION_LOST: 14,
  CLOSED: 1,
}
const unknown = 2
const cancelled = 1

/** The gRPC code of an outcome, as Go's metrics have it: `DeadlineExceeded`. */
export function goCode(outcome: CallOutcome): string {
  return goCodes[codeOf(outcome)] ?? 'Unknown'
}

/** The gRPC code of an outcome as its specification has it: `DEADLINE_EXCEEDED`. */
export function grpcCode(outcome: CallOutcome): string {
  const code = goCode(outcome)
  if (code === 'OK') return code
  // Go alone spells it with one l.
  return code === 'Canceled' ? 'CANCELLED' : code.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

/** What an operation failed with: an error's code, or `aborted`. */
export function errorType(outcome: CallOutcome): string | undefined {
  if (outcome.ok) return undefined
  return outcome.aborted ? 'aborted' : outcome.code
}

function codeOf(outcome: CallOutcome): number {
  if (outcome.ok) return 0
  if (outcome.aborted) return cancelled
  const { error, code } = outcome
  const onWire = 'grpcCode' in error && typeof error.grpcCode === 'number' ? error.grpcCode : undefined
  return onWire ?? localCodes[code] ?? unknown
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
