import { isNativeError } from 'node:util/types'

/**
 * What a failed call may have changed in the cluster.
 *
 * - `none`: nothing was changed by it: it never left this process, or the server refused it before applying it.
 * - `unknown`: it was sent and may or may not have been applied, now or later. Reading back does not settle it, since
 *   a member that was paused can still apply it after the read; only a compare that it would have used up does.
 */
export type Effect = 'none' | 'unknown'

/** Errors that an etcd server answers with, named for the server's own errors (`rpctypes`). */
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

/** Errors of the wire between this client and a member, and of calls whose text no etcd release is known to send. */
export type TransportErrorCode =
  /** No member could be reached in time; nothing was sent. */
  | 'NOT_CONNECTED'
  /** The connection was lost, or the member stopped answering, after the call was sent. */
  | 'CONNECTION_LOST'
  /** The call's deadline passed. */
  | 'DEADLINE_EXCEEDED'
  /** The member does not know this call: an older etcd, or a proxy. */
  | 'UNIMPLEMENTED'
  /** A request or an answer was over the receiver's size limit. */
  | 'MESSAGE_TOO_LARGE'
  /** The answer was not valid protocol, or held an integer above 2^53 − 1. */
  | 'PROTOCOL_ERROR'
  /** A leader was elected after this write was sent, and no answer came: it may be lost, or be applied later. */
  | 'LEADER_LOST'
  /** Any other gRPC status; `grpcCode` and the message tell which. */
  | 'UNKNOWN'

/** Errors found by this client. */
export type ClientErrorCode =
  /** An argument or an option is wrong; nothing was sent. */
  | 'INVALID_ARGUMENT'
  /** The client is closed. */
  | 'CLOSED'
  /** No member allows another stream on its connection (`--max-concurrent-streams`); nothing was sent. */
  | 'STREAM_LIMIT'
  /** The member belongs to another cluster than the one this client was talking to. */
  | 'CLUSTER_CHANGED'
  /** The cluster's revision went back: it was restored from a backup. */
  | 'REVISION_REWOUND'
  /** A range without a limit holds more than `maxRangeKeys` or `maxRangeBytes`. */
  | 'RANGE_TOO_LARGE'
  /** `update()` lost against other writers `maxAttempts` times. */
  | 'UPDATE_CONFLICT'
  /** `stm()` lost against other writers `maxAttempts` times. */
  | 'STM_CONFLICT'
  /** Another mirror has gone on from where this one was. */
  | 'MIRROR_CONFLICT'
  /** A value or key is not valid UTF-8, JSON, or whatever its codec expects. */
  | 'DECODE_FAILED'
  /** A cursor is damaged or belongs to another range. */
  | 'INVALID_CURSOR'
  /** A transaction, or an operation or a comparison for one, was awaited instead of committed. */
  | 'TXN_NOT_COMMITTED'
  /** A lease can no longer be relied on. */
  | 'LEASE_LOST'
  /** A lock was not granted in time. */
  | 'LOCK_TIMEOUT'
  /** `tryLock()` found the lock held. */
  | 'LOCK_UNAVAILABLE'
  /** A lock that was held is no longer certain to be. */
  | 'LOCK_LOST'
  /** A semaphore is used with another number of permits than it has. */
  | 'PERMITS_MISMATCH'
  /** As many as a double barrier is for are in it. */
  | 'BARRIER_FULL'
  /** The answer to taking an item out of a queue was lost. */
  | 'CLAIM_UNKNOWN'

export type ErrorCode = ServerErrorCode | TransportErrorCode | ClientErrorCode

/** What an error knows beside its message. */
export interface EtcdErrorInit {
  readonly code: ErrorCode
  readonly effect: Effect
  /** Whether the same call may succeed if it is made again later. Says nothing about whether that is safe: see `effect`. */
  readonly retryable?: boolean | undefined
  readonly endpoint?: string | undefined
  readonly method?: string | undefined
  readonly attempts?: number | undefined
  readonly grpcCode?: number | undefined
  readonly cause?: unknown
}

const brand = Symbol.for('etcdkit.error')

/**
 * Every failure of a call: match `code`, and `effect` before repeating a write.
 *
 * `instanceof EtcdError` holds across several copies of this package in one process, and for the `TypeError` that a
 * wrong argument is answered with.
 */
export class EtcdError extends Error {
  override readonly name: string = 'EtcdError'
  readonly code: ErrorCode
  /** Whether this call may have changed anything. */
  readonly effect: Effect
  /** Whether the same call may succeed later. Before you repeat a write, look at `effect`. */
  readonly retryable: boolean
  /** The member that answered, or did not, last. */
  readonly endpoint: string | undefined
  /** The RPC, for example `KV.Put`. */
  readonly method: string | undefined
  /** How many times the call was sent or tried to be sent. */
  readonly attempts: number
  /** The gRPC status code on the wire. It differs between etcd releases for the same error: match `code` instead. */
  readonly grpcCode: number | undefined
  /** The message without the code and the place. */
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

/** A revision that the call needs was compacted away: read again at a newer one. */
export class CompactedError extends EtcdError {
  override readonly name = 'CompactedError'
  /** The oldest revision that is still there, where the server said so. */
  readonly compactRevision: number | undefined

  constructor(message: string, init: Omit<EtcdErrorInit, 'code'> & { readonly compactRevision?: number | undefined }) {
    super(message, { ...init, code: 'COMPACTED' })
    this.compactRevision = init.compactRevision
  }
}

/** `TypeError` for a wrong argument or option: names it, what was expected and what came. Has all fields of an `EtcdError`. */
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

  constructor(message: string) {
    super(message)
    this.rawMessage = message
    Object.defineProperty(this, brand, { value: true })
  }
}

/** The classes of errors that have one of their own, by code. */
export interface ErrorClasses {
  readonly COMPACTED: CompactedError
}

/** The error of a code. */
export type ErrorOf<Code extends ErrorCode> = Code extends keyof ErrorClasses
  ? ErrorClasses[Code]
  : EtcdError & { readonly code: Code }

/** A message with the reason that its cause gives, where it has one. */
export function withReason(message: string, cause: unknown): string {
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}

/** What another version of the package may not have. */
const fields = ['code', 'effect', 'retryable', 'endpoint', 'method', 'attempts', 'grpcCode', 'rawMessage'] as const

/**
 * Whether `error` is an etcdkit error, of any copy of the package, and has this code. What it says yes to has all fields of
 * an `EtcdError`.
 */
export function isEtcdError(error: unknown): error is EtcdError
export function isEtcdError<Code extends ErrorCode>(error: unknown, code: Code): error is ErrorOf<Code>
export function isEtcdError(error: unknown, code?: ErrorCode): error is EtcdError {
  if (!(error instanceof Error) && !isNativeError(error)) return false
  if (!(brand in error) || !fields.every((field) => field in error)) return false
  return code === undefined || (error as { code?: unknown }).code === code
}

/** Whether the same may succeed later, when whatever it was that went wrong has passed. */
export function isPassing(error: unknown): boolean {
  if (!isEtcdError(error)) return false
  return error.retryable || error.code === 'DEADLINE_EXCEEDED' || error.code === 'SERVER_DEADLINE_EXCEEDED'
}

/** The same failure for another caller: each error is completed with what only the call that it ends knows. */
export function copyOf(error: unknown): unknown {
  if (!isEtcdError(error)) return error
  // Of the same class, with all that it knows, and with a stack that begins here.
  const { stack: _, ...known } = Object.getOwnPropertyDescriptors(error)
  const copy = Object.defineProperties(new Error(error.message), known)
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error))
  Error.captureStackTrace(copy)
  return copy
}

/** What to do, where etcd's own words leave that open. */
const hints: Partial<Record<ErrorCode, string>> = {
  USER_EMPTY: 'set the option `auth`, or use a client certificate',
}

function format(message: string, { code, method, endpoint }: EtcdErrorInit): string {
  const place = [method, endpoint].filter((part) => part !== undefined).join(' at ')
  const hint = hints[code]
  return `[${code}] ${message}${place === '' ? '' : ` (${place})`}${hint === undefined ? '' : `: ${hint}`}`
}
