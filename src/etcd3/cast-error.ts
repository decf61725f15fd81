import { isError } from '../core/thrown.js'
import { describe } from '../core/validate.js'
import {
  type EtcdError as EngineError,
  type ErrorCode,
  InvalidArgumentError,
  isEtcdError,
  type LeaseLostError,
} from '../index.js'
import { serverErrors } from '../transport/server-errors.js'
import * as errors from './errors.js'
import { fromHexId } from './rpc/response.js'
import { nameText } from './validate.js'

type ErrorClass = new (message: string) => Error

/** Errors of etcd3 that stand for one error of etcd. */
const byCode: Partial<Record<ErrorCode, ErrorClass>> = {
  ROLE_ALREADY_EXISTS: errors.EtcdRoleExistsError,
  USER_ALREADY_EXISTS: errors.EtcdUserExistsError,
  ROLE_NOT_GRANTED: errors.EtcdRoleNotGrantedError,
  ROLE_NOT_FOUND: errors.EtcdRoleNotFoundError,
  USER_NOT_FOUND: errors.EtcdUserNotFoundError,
  AUTH_FAILED: errors.EtcdAuthenticationFailedError,
  PERMISSION_DENIED: errors.EtcdPermissionDeniedError,
  INVALID_AUTH_TOKEN: errors.EtcdInvalidAuthTokenError,
  NOT_CONNECTED: errors.GRPCUnavailableError,
  CONNECTION_LOST: errors.GRPCUnavailableError,
  LEADER_LOST: errors.GRPCUnavailableError,
  DEADLINE_EXCEEDED: errors.GRPCDeadlineExceededError,
  SERVER_DEADLINE_EXCEEDED: errors.GRPCDeadlineExceededError,
  UNIMPLEMENTED: errors.GRPCNotImplementedError,
  MESSAGE_TOO_LARGE: errors.GRPCResourceExhastedError,
  STREAM_LIMIT: errors.GRPCResourceExhastedError,
  PROTOCOL_ERROR: errors.GRPCProtocolError,
  INVALID_ARGUMENT: errors.GRPCInvalidArgumentError,
  COMPACTED: errors.GRPCOutOfRangeError,
  FUTURE_REVISION: errors.GRPCOutOfRangeError,
  CLUSTER_CHANGED: errors.GRPCFailedPreconditionError,
  REVISION_REWOUND: errors.GRPCDataLossError,
}

/** Errors of etcd3 by gRPC status, from 1 on. */
const byStatus: readonly ErrorClass[] = [
  errors.GRPCCancelledError,
  errors.GRPCUnknownError,
  errors.GRPCInvalidArgumentError,
  errors.GRPCDeadlineExceededError,
  errors.GRPCNotFoundError,
  errors.GRPCAlreadyExistsError,
  errors.EtcdPermissionDeniedError,
  errors.GRPCResourceExhastedError,
  errors.GRPCFailedPreconditionError,
  errors.GRPCAbortedError,
  errors.GRPCOutOfRangeError,
  errors.GRPCNotImplementedError,
  errors.GRPCInternalError,
  errors.GRPCUnavailableError,
  errors.GRPCDataLossError,
  errors.GRPCUnauthenticatedError,
]

const statusNames = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

/** What an error is about. */
export interface ErrorSubject {
  readonly service: string
  /** The lease of the call, in decimal digits. */
  readonly leaseId?: string | undefined
}

/**
 * The error that etcd3 would give, with the error of the engine as its `cause`: that one has the code, and the effect of a
 * failed write. Errors of other kinds are returned as they are.
 */
export function castError(error: unknown, subject: ErrorSubject): Error {
  if (!isEtcdError(error)) return isError(error) ? error : new errors.GRPCGenericError(String(error))
  const cast = instance(error, subject)
  Object.defineProperty(cast, 'cause', { value: error, configurable: true, writable: true })
  // A policy that repeats recoverable errors would repeat a write that may have been applied.
  if (error.effect === 'unknown') Reflect.deleteProperty(cast, errors.RecoverableError)
  return cast
}

function instance(error: EngineError, { service, leaseId }: ErrorSubject): Error {
  const { code, grpcCode, rawMessage } = error
  if (code === 'CLOSED') return new errors.ClientClosedError(service)
  if (code === 'STM_CONFLICT') return new errors.STMConflictError()
  if (isEtcdError(error, 'LEASE_LOST')) return leaseLost(error)
  if (code === 'LEASE_NOT_FOUND') return leaseInvalid(rawMessage, leaseId)
  const Class = byCode[code] ?? byStatus[(grpcCode ?? 0) - 1] ?? errors.EtcdError
  return new Class(withStatus(rawMessage, grpcCode))
}

function leaseLost({ leaseId, reason }: LeaseLostError): Error {
  const id = fromHexId(leaseId, true)
  if (reason === 'revoked') return new errors.EtcdLeaseInvalidError(id)
  const why = reason === 'expired' ? 'we lost connection to etcd and our lease has expired' : reason
  return leaseInvalid(`Lease ${id}: ${why}`, undefined)
}

function leaseInvalid(message: string, leaseId: string | undefined): Error {
  if (leaseId !== undefined) return new errors.EtcdLeaseInvalidError(leaseId)
  return Object.assign(new errors.EtcdLeaseInvalidError(''), { message })
}

/** As grpc-js words it: `5 NOT_FOUND: etcdserver: role name not found`. */
function withStatus(message: string, grpcCode: number | undefined): string {
  const name = statusNames[(grpcCode ?? 0) - 1]
  return name === undefined ? message : `${grpcCode} ${name}: ${message}`
}

/** The error of etcd3 for an error of grpc-js, or of what is mocked in its place. */
export function castGrpcError<T extends Error>(error: T): Error {
  if (!isError(error)) throw new InvalidArgumentError(`castGrpcError() takes an error, got ${describe(error)}`)
  if (error.constructor !== Error) return error
  const status = 'code' in error && typeof error.code === 'number' ? error.code : 0
  const Class = classOf(error.message) ?? byStatus[status - 1]
  const cast = new (Class ?? (error.message.includes('etcdserver:') ? errors.EtcdError : errors.GRPCGenericError))(
    error.message,
  )
  return Object.assign(cast, { cause: error })
}

/** The error of etcd3 for an error text of etcd. */
export function castGrpcErrorMessage(message: string): Error {
  nameText('message', message)
  return new (classOf(message) ?? errors.EtcdError)(message)
}

function classOf(message: string): ErrorClass | undefined {
  const [, text = ''] = /(etcdserver: .*)$/.exec(message) ?? []
  const code = serverErrors.get(text)?.code
  return code === 'LEASE_NOT_FOUND' ? errors.EtcdLeaseInvalidError : code && byCode[code]
}
