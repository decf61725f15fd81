import type { CallOutcome } from './records.js'

/** The name of an RPC's operation in etcd's documentation: `lease.grant` for `Lease.LeaseGrant`, `range` for `KV.Range`. */
export function operationName(method: string): string {
  const [service = '', rpc = ''] = method.split('.')
  if (service === 'KV') return lowerFirst(rpc)
  const own = rpc.startsWith(service) && rpc !== service ? rpc.slice(service.length) : rpc
  return `${lowerFirst(service)}.${lowerFirst(own)}`
}

/** The gRPC codes in the spelling of Go's metrics. */
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

/** The gRPC codes of errors without a status from a member. */
const localCodes: Readonly<Record<string, number>> = {
  DEADLINE_EXCEEDED: 4,
  NOT_CONNECTED: 14,
  CONNECTION_LOST: 14,
  CLOSED: 1,
}
const unknown = 2
const cancelled = 1

/** The gRPC code of an outcome in the spelling of Go's metrics: `DeadlineExceeded`. */
export function goCode(outcome: CallOutcome): string {
  return goCodes[codeOf(outcome)] ?? 'Unknown'
}

/** The gRPC code of an outcome in the spelling of the specification: `DEADLINE_EXCEEDED`. */
export function grpcCode(outcome: CallOutcome): string {
  const code = goCode(outcome)
  if (code === 'OK') return code
  // Go alone spells it with one l.
  return code === 'Canceled' ? 'CANCELLED' : code.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

/** The failure of an operation: an error code, or `aborted`. */
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
