import { isRevoked } from './revoked.js'
import { isError } from './thrown.js'

/**
 * What a failed call may have changed in the cluster:
 *
 * - `none`: nothing. The call was not sent, or the server refused it before applying it.
 * - `unknown`: the call was sent and may or may not be applied, now or later. A read does not settle that, because a paused
 *   member can still apply the call after the read. A transaction with a compare that can succeed only once is safe to
 *   repeat until its outcome is known.
 */
export type Effect = 'none' | 'unknown'

/** Errors that etcd returns, named after [its own errors](https://pkg.go.dev/go.etcd.io/etcd/api/v3/v3rpc/rpctypes). */
export type ServerErrorCode =
  | 'EMPTY_KEY'
  | 'KEY_NOT_FOUND'
  | 'VALUE_PROVIDED'
  | 'LEASE_PROVIDED'
  | 'TOO_MANY_OPS'
  | 'DUPLICATE_KEY'
  | 'INVALID_CLIENT_API_VERSION'
  | 'INVALID_SORT_OPTION'
  | 'COMPACTED'
  | 'FUTURE_REVISION'
  | 'NO_SPACE'
  | 'LEASE_NOT_FOUND'
  | 'LEASE_EXISTS'
  | 'LEASE_TTL_TOO_LARGE'
  | 'WATCH_CANCELED'
  | 'MEMBER_EXISTS'
  | 'PEER_URL_EXISTS'
  | 'MEMBER_NOT_ENOUGH_STARTED'
  | 'MEMBER_BAD_URLS'
  | 'MEMBER_NOT_FOUND'
  | 'MEMBER_NOT_LEARNER'
  | 'LEARNER_NOT_READY'
  | 'TOO_MANY_LEARNERS'
  | 'CLUSTER_ID_MISMATCH'
  | 'REQUEST_TOO_LARGE'
  | 'TOO_MANY_REQUESTS'
  | 'ROOT_USER_NOT_EXIST'
  | 'ROOT_ROLE_NOT_EXIST'
  | 'USER_ALREADY_EXISTS'
  | 'USER_EMPTY'
  | 'USER_NOT_FOUND'
  | 'ROLE_ALREADY_EXISTS'
  | 'ROLE_NOT_FOUND'
  | 'ROLE_EMPTY'
  | 'AUTH_FAILED'
  | 'PERMISSION_NOT_GIVEN'
  | 'PERMISSION_DENIED'
  | 'ROLE_NOT_GRANTED'
  | 'PERMISSION_NOT_GRANTED'
  | 'AUTH_NOT_ENABLED'
  | 'INVALID_AUTH_TOKEN'
  | 'INVALID_AUTH_MANAGEMENT'
  | 'AUTH_OLD_REVISION'
  | 'NO_LEADER'
  | 'NOT_LEADER'
  | 'LEADER_CHANGED'
  | 'NOT_CAPABLE'
  | 'SERVER_STOPPED'
  | 'SERVER_TIMEOUT'
  | 'SERVER_TIMEOUT_LEADER_FAILED'
  | 'SERVER_TIMEOUT_CONNECTION_LOST'
  | 'SERVER_TIMEOUT_APPLY_WAIT'
  | 'UNHEALTHY'
  | 'CORRUPT'
  | 'NOT_SUPPORTED_FOR_LEARNER'
  | 'BAD_LEADER_TRANSFEREE'
  | 'WRONG_DOWNGRADE_VERSION'
  | 'INVALID_DOWNGRADE_TARGET'
  | 'CLUSTER_VERSION_UNAVAILABLE'
  | 'DOWNGRADE_IN_PROCESS'
  | 'NO_INFLIGHT_DOWNGRADE'
  | 'SERVER_CANCELED'
  | 'SERVER_DEADLINE_EXCEEDED'
  | 'PROPOSAL_DROPPED'
  | 'ELECTION_NO_LEADER'
  | 'ELECTION_NOT_LEADER'
  | 'SESSION_EXPIRED'

/** Errors of the connection between this client and a member, and gRPC errors that no etcd release is known to return. */
export type TransportErrorCode =
  /** No member could be reached in time. Nothing was sent. */
  | 'NOT_CONNECTED'
  /** The connection was lost, or the member stopped answering, after the call was sent. */
  | 'CONNECTION_LOST'
  /** The call's deadline passed. */
  | 'DEADLINE_EXCEEDED'
  /** The member does not implement the call: an older etcd, or a proxy. */
  | 'UNIMPLEMENTED'
  /** A request or a response exceeded the size limit of its receiver. */
  | 'MESSAGE_TOO_LARGE'
  /** The response was not valid, or contained an integer above 2^53 − 1. */
  | 'PROTOCOL_ERROR'
  /** A leader was elected after the write was sent, and no response arrived: the write may be lost, or be applied later. */
  | 'LEADER_LOST'
  /** Any other gRPC status: see `grpcCode` and the message. */
  | 'UNKNOWN'

/** Errors that this client detects. */
export type ClientErrorCode =
  /** An argument or an option is invalid. Nothing was sent. */
  | 'INVALID_ARGUMENT'
  /** The client is closed. */
  | 'CLOSED'
  /** No member allows another stream on its connection (`--max-concurrent-streams`). Nothing was sent. */
  | 'STREAM_LIMIT'
  /** The member belongs to another cluster than the one that the client was connected to. */
  | 'CLUSTER_CHANGED'
  /** The cluster's revision has decreased: it was restored from a backup. */
  | 'REVISION_REWOUND'
  /** A range without a limit contains more than `maxRangeKeys` or `maxRangeBytes`. */
  | 'RANGE_TOO_LARGE'
  /** `update()` conflicted with other writers `maxAttempts` times. */
  | 'UPDATE_CONFLICT'
  /** `stm()` conflicted with other writers `maxAttempts` times. */
  | 'STM_CONFLICT'
  /** Another mirror has continued from the checkpoint of this one. */
  | 'MIRROR_CONFLICT'
  /** A key or value is not valid for its codec, for example not UTF-8 or JSON. */
  | 'DECODE_FAILED'
  /** A cursor is invalid or belongs to another range. */
  | 'INVALID_CURSOR'
  /** A transaction, or an operation or a compare for one, was awaited instead of committed. */
  | 'TXN_NOT_COMMITTED'
  /** A lease can no longer be relied on. */
  | 'LEASE_LOST'
  /** A lock was not acquired in time. */
  | 'LOCK_TIMEOUT'
  /** `tryLock()` failed because the lock is held. */
  | 'LOCK_UNAVAILABLE'
  /** A held lock can no longer be relied on. */
  | 'LOCK_LOST'
  /** A semaphore is used with different numbers of permits. */
  | 'PERMITS_MISMATCH'
  /** A double barrier is full. */
  | 'BARRIER_FULL'
  /** The response to taking an item out of a queue was lost. */
  | 'CLAIM_UNKNOWN'

/** The code of an error: reported by etcd, by the transport, or by the client. `docs/errors.md` describes each. */
export type ErrorCode = ServerErrorCode | TransportErrorCode | ClientErrorCode

/** The fields of an error besides its message. */
export interface EtcdErrorInit {
  readonly code: ErrorCode
  readonly effect: Effect
  /** Whether the same call may succeed later. Whether a retry is safe depends on `effect`. */
  readonly retryable?: boolean | undefined
  readonly endpoint?: string | undefined
  readonly method?: string | undefined
  readonly attempts?: number | undefined
  readonly grpcCode?: number | undefined
  readonly cause?: unknown
}

const brand = Symbol.for('etcdkit.error')

/**
 * The error of a failed call. Match `code`; check `effect` before you retry a write.
 *
 * `instanceof EtcdError` also holds for errors of other copies of this package in the process, and for
 * `InvalidArgumentError`, which is a `TypeError`.
 *
 * @example
 * try {
 *   await etcd.put('config/port', '8080')
 * } catch (error) {
 *   if (isEtcdError(error, 'NO_SPACE')) alertOperator(error)
 *   else if (isEtcdError(error) && error.effect === 'none') retryLater()
 *   else throw error
 * }
 */
export class EtcdError extends Error {
  override readonly name: string = 'EtcdError'
  readonly code: ErrorCode
  /** Whether the call may have been applied. */
  readonly effect: Effect
  /** Whether the same call may succeed later. Whether a retry of a write is safe depends on `effect`. */
  readonly retryable: boolean
  /** The endpoint of the last attempt. */
  readonly endpoint: string | undefined
  /** The RPC, for example `KV.Put`. */
  readonly method: string | undefined
  /** How many attempts were made. */
  readonly attempts: number
  /** The gRPC status code. It differs between etcd releases for the same error: match `code` instead. */
  readonly grpcCode: number | undefined
  /** The message without code, method and endpoint. */
  readonly rawMessage: string

  constructor(message: string, init: EtcdErrorInit) {
    super(format(message, init), init.cause === undefined ? undefined : { cause: init.cause })
    this.rawMessage = message
    this.code = init.code
    this.effect = init.effect
    this.retryable = init.retryable ?? false
    this.endpoint = init.endpoint
    this.method = init.method
    this.attempts = init.attempts ?? 0
    this.grpcCode = init.grpcCode
    Object.defineProperty(this, brand, { value: true })
  }
}

// A static method would have to name `this`, which is the class on the right of `instanceof`: EtcdError or a subclass.
Object.defineProperty(EtcdError, Symbol.hasInstance, {
  value(this: typeof EtcdError, error: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, error)) return true
    return isEtcdError(error) && (this === EtcdError || error.name === this.name)
  },
})

/** The requested revision has been compacted: read again at a newer one. */
export class CompactedError extends EtcdError {
  override readonly name = 'CompactedError'
  /** The oldest available revision, if the server returned it. */
  readonly compactRevision: number | undefined

  constructor(message: string, init: Omit<EtcdErrorInit, 'code'> & { readonly compactRevision?: number | undefined }) {
    super(message, { ...init, code: 'COMPACTED' })
    this.compactRevision = init.compactRevision
  }
}

/** The `TypeError` of an invalid argument or option; the message has its name, the expected and the actual value. It has all fields of an `EtcdError`. */
export class InvalidArgumentError extends TypeError implements EtcdError {
  override readonly name = 'InvalidArgumentError'
  readonly code = 'INVALID_ARGUMENT'
  readonly effect = 'none'
  readonly retryable = false
  readonly attempts = 0
  readonly endpoint = undefined
  readonly method = undefined
  readonly grpcCode = undefined
  readonly rawMessage: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.rawMessage = message
    Object.defineProperty(this, brand, { value: true })
  }
}

/** The error classes of codes with a specific class. */
export interface ErrorClasses {
  readonly COMPACTED: CompactedError
}

/** The error class of a code. */
export type ErrorOf<Code extends ErrorCode> = Code extends keyof ErrorClasses
  ? ErrorClasses[Code]
  : EtcdError & { readonly code: Code }

/** Appends the message of the cause, if it is an error. */
export function withReason(message: string, cause: unknown): string {
  return isError(cause) ? `${message}: ${cause.message}` : message
}

/** Errors of another version of the package may lack some of these. */
const fields = ['code', 'effect', 'retryable', 'endpoint', 'method', 'attempts', 'grpcCode', 'rawMessage'] as const

/**
 * Whether `error` is an etcdkit error, of any copy of the package. An error for which it returns true has all fields of an
 * `EtcdError`.
 */
export function isEtcdError(error: unknown): error is EtcdError
/**
 * Whether `error` is an etcdkit error with this code, of any copy of the package. An error for which it returns true has all
 * fields of an `EtcdError`.
 *
 * @param code The expected code.
 */
export function isEtcdError<Code extends ErrorCode>(error: unknown, code: Code): error is ErrorOf<Code>
export function isEtcdError(error: unknown, code?: ErrorCode): error is EtcdError {
  if (typeof error !== 'object' || error === null || isRevoked(error) || !isError(error)) return false
  if (!(brand in error) || !fields.every((field) => field in error)) return false
  return code === undefined || (error as { code?: unknown }).code === code
}

/** Whether the failure is transient: the same call may succeed later. */
export function isPassing(error: unknown): boolean {
  if (!isEtcdError(error)) return false
  return error.retryable || error.code === 'DEADLINE_EXCEEDED' || error.code === 'SERVER_DEADLINE_EXCEEDED'
}

/** Copies an error for another caller of a shared operation: fields such as the method differ between them. */
export function copyOf(error: unknown): unknown {
  if (!isEtcdError(error)) return error
  // The copy has the same class and fields, and its own stack.
  const { stack: _, ...known } = Object.getOwnPropertyDescriptors(error)
  const copy = Object.defineProperties(new Error(error.message), known)
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error))
  Error.captureStackTrace(copy)
  return copy
}

/** What to do about errors whose etcd message does not say so. */
const hints: Partial<Record<ErrorCode, string>> = {
  USER_EMPTY: 'set the option `auth`, or use a client certificate',
}

function format(message: string, { code, method, endpoint }: EtcdErrorInit): string {
  const place = [method, endpoint].filter((part) => part !== undefined).join(' at ')
  const hint = hints[code]
  return `[${code}] ${message}${place === '' ? '' : ` (${place})`}${hint === undefined ? '' : `: ${hint}`}`
}
