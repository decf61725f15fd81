import type { Effect, ErrorCode } from '../core/errors.js'
import type { ReadMode } from '../core/read-policy.js'

/** The client of a record. All records of one client hold the same object. */
export interface ClientIdentity {
  /** A number that is unique among the clients of the process. */
  readonly id: number
  /** The option `diagnostics.name`. */
  readonly name: string
  /** The option `namespace`, as text. */
  readonly namespace: string | undefined
}

/** How a call or an attempt ended. */
export type CallOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly aborted: true }
  | {
      readonly ok: false
      readonly aborted: false
      readonly code: ErrorCode
      readonly effect: Effect
      readonly error: Error
    }

/** Which keys a request names. */
export type RangeKind = 'key' | 'prefix' | 'range' | 'from' | 'all'

/** The request of a call, without values. */
export interface CallRequest {
  readonly range: RangeKind | undefined
  /**
   * The key, the prefix or the first key of the range, including namespaces; of a transaction, the first key that it names.
   * Bytes that are not valid UTF-8 are in hexadecimal, after `0x`. `undefined` for all keys, and with
   * `diagnostics: { keys: false }`.
   */
  readonly keyText: string | undefined
  /** The number of operations of a transaction, in both branches; 1 for every other call. */
  readonly operations: number
}

/** A call that starts. */
export interface CallStart {
  readonly client: ClientIdentity
  /** A number that is unique among the calls of the process. */
  readonly callId: number
  /** The RPC, for example `KV.Range`. */
  readonly method: string
  /** Its path on the wire, for example `/etcdserverpb.KV/Range`. */
  readonly path: string
  readonly request: CallRequest
}

/** A call that has ended, with or without success. Times are in milliseconds, and add up to `durationMs`. */
export interface CallRecord extends CallStart {
  /** From the call to its settlement. */
  readonly durationMs: number
  /** Time spent in this process: waiting for a batch, for the event loop, and everything not listed below. */
  readonly queueMs: number
  /** Time spent waiting for a token. */
  readonly authMs: number
  /** Time spent waiting for a connection. */
  readonly connectMs: number
  /** Time spent waiting between attempts. */
  readonly backoffMs: number
  /** Time from sending each attempt to its end, summed up. */
  readonly wireMs: number
  /** How many times the call was sent. */
  readonly attempts: number
  /** Each attempt of the call, or of the batch that carried it. */
  readonly attemptRecords: readonly AttemptRecord[]
  /** The endpoint of the last attempt. */
  readonly endpoint: string | undefined
  /** The role of that member, if it is known. */
  readonly role: 'leader' | 'follower' | 'learner' | undefined
  /** How a read was served; `undefined` for other calls. */
  readonly mode: ReadMode | undefined
  /** Size of the request; 0 if it was never encoded. */
  readonly requestBytes: number
  /** Size of the response; 0 if there was none. */
  readonly responseBytes: number
  /** Number of keys that were read or deleted. */
  readonly responseKeys: number
  readonly outcome: CallOutcome
  /** The reason of the rejection. Not enumerable. */
  readonly error?: unknown
}

/** An attempt that starts. */
export interface AttemptStart {
  readonly client: ClientIdentity
  /**
   * The call of the attempt; of a batch, its first call. `undefined` for the client's internal calls, such as
   * `Auth.Authenticate`.
   */
  readonly callId: number | undefined
  readonly method: string
  readonly path: string
  /** The number of operations, if it is a transaction or a batch; 1 otherwise. */
  readonly operations: number
  /** The number of the attempt within its call, from 1. */
  readonly attempt: number
  /** `first`; the error code of the previous attempt, or `aborted`; `behind` if its member had not reached the revision. */
  readonly reason: 'first' | 'behind' | 'aborted' | ErrorCode
}

/** Calls that were sent as one request. */
export interface AttemptBatch {
  /** The RPC of each call, for example `KV.Range`. */
  readonly method: string
  /** The number of calls; more than `operations` if equal reads were coalesced. */
  readonly calls: number
}

/** An attempt that has ended. */
export interface AttemptRecord extends AttemptStart {
  readonly durationMs: number
  /** The part of it spent waiting for a connection. */
  readonly connectMs: number
  /** The endpoint that it was sent to; `undefined` if there was no connection. */
  readonly endpoint: string | undefined
  readonly requestBytes: number
  readonly responseBytes: number
  /** `undefined` for a call that was not batched. */
  readonly batch: AttemptBatch | undefined
  readonly outcome: CallOutcome
  /** The error, if it failed. Not enumerable. */
  readonly error?: unknown
}

/** A request for a token that starts. */
export interface AuthenticateStart {
  readonly client: ClientIdentity
  readonly username: string | undefined
  readonly reason: 'first' | 'expiring' | 'rejected'
}

/** A request for a token that has ended. Neither the token nor the password is in it. */
export interface AuthenticateRecord extends AuthenticateStart {
  /** The endpoint of the last attempt. */
  readonly endpoint: string | undefined
  readonly durationMs: number
  readonly outcome: CallOutcome
  /** The error, if it failed. Not enumerable. */
  readonly error?: unknown
}

/** The states of a connection. */
export type EndpointState = 'idle' | 'connecting' | 'probing' | 'ready' | 'ejected' | 'closed'

/** A connection has entered another state. */
export interface ConnectRecord {
  readonly client: ClientIdentity
  readonly endpoint: string
  readonly previous: EndpointState
  readonly state: EndpointState
  /** Why it is not ready, if that is known. */
  readonly reason: string | undefined
  /** Time spent in the previous state. */
  readonly previousMs: number
}

/** A client continues with another cluster. */
export interface ClusterRecord {
  readonly client: ClientIdentity
  /** The ID of the previous cluster. */
  readonly expected: string
  /** The ID of the new cluster. */
  readonly actual: string
  /** The endpoints of the new cluster. */
  readonly agreed: readonly string[]
  /** The endpoints that could not be reached. */
  readonly unreachable: readonly string[]
}

/** An event of a stream. */
export type StreamEvent =
  | { readonly type: 'opened' }
  /** A message was sent or received. */
  | { readonly type: 'sent' }
  | { readonly type: 'received' }
  /** The stream has ended; one that this client has ended counts as aborted. */
  | { readonly type: 'ended'; readonly durationMs: number; readonly outcome: CallOutcome }

/** The RPC and the member of a stream. */
export interface StreamTarget {
  /** The RPC, for example `Watch.Watch`. */
  readonly method: string
  readonly path: string
  readonly endpoint: string
}

/** An event of a gRPC stream: of watches, keep-alives, a listing or a snapshot. */
export type StreamRecord = { readonly client: ClientIdentity } & StreamTarget & StreamEvent

/** A watch that is requested. */
export interface WatchStart {
  readonly client: ClientIdentity
  readonly range: RangeKind
  readonly keyText: string | undefined
}

/** A watch that a member has confirmed, or that could not be created. */
export interface WatchCreateRecord extends WatchStart {
  readonly endpoint: string | undefined
  readonly durationMs: number
  readonly outcome: CallOutcome
  /** The error, if it failed. Not enumerable. */
  readonly error?: unknown
}

/** An event of the watches of a client. */
export type WatchRecord = { readonly client: ClientIdentity } & (
  | { readonly type: 'opened'; readonly range: RangeKind; readonly keyText: string | undefined }
  /** The stream was lost; the watches on it resume on another member without missing an event. */
  | {
      readonly type: 'lost'
      readonly endpoint: string | undefined
      readonly watches: number
      readonly error: unknown
    }
  | { readonly type: 'resumed'; readonly endpoint: string; readonly watches: number; readonly downMs: number }
  /** One watch has ended: closed by its consumer, or failed with `error`. */
  | {
      readonly type: 'ended'
      readonly range: RangeKind
      readonly keyText: string | undefined
      readonly reconnects: number
      readonly error: unknown
    }
)

/** An event of the leases of a client. */
export type LeaseRecord = { readonly client: ClientIdentity } & (
  | {
      readonly type: 'renewed'
      readonly leaseId: string
      readonly ttlSeconds: number
      /** From sending the renewal to its response. */
      readonly durationMs: number
      /** Time left of the lease when the response arrived. */
      readonly slackMs: number
    }
  | { readonly type: 'lost'; readonly leaseId: string; readonly reason: string; readonly error: unknown }
  /** The stream that renews the leases was lost; the leases are still valid. */
  | {
      readonly type: 'keepAliveLost'
      readonly endpoint: string | undefined
      readonly leases: number
      readonly error: unknown
    }
  | { readonly type: 'keepAliveResumed'; readonly endpoint: string; readonly leases: number; readonly downMs: number }
)

/** An event of an informer. */
export type InformerRecord = {
  readonly client: ClientIdentity
  readonly range: RangeKind
  readonly keyText: string | undefined
} & (
  | { readonly type: 'ready'; readonly revision: number; readonly size: number }
  | {
      readonly type: 'resync'
      readonly reason: ErrorCode
      readonly fromRevision: number
      readonly toRevision: number
    }
  | { readonly type: 'error'; readonly terminal: boolean; readonly error: unknown }
)

/**
 * The kind of a lock: a lock (each one of `lockAll()` has its record), an election, a side of a read-write lock, or a
 * permit of a semaphore.
 */
export type LockKind = 'lock' | 'election' | 'read' | 'write' | 'semaphore'

/** A lock that is requested. */
export interface LockStart {
  readonly client: ClientIdentity
  readonly kind: LockKind
  /** The name of the lock or the election, including namespaces; `undefined` with `diagnostics: { keys: false }`. */
  readonly name: string | undefined
}

/** A wait for a lock that has ended. */
export interface LockWaitRecord extends LockStart {
  readonly durationMs: number
  /** The fence of the lock, if it was granted. */
  readonly fence: number | undefined
  readonly outcome: CallOutcome
  /** The error, if it failed. Not enumerable. */
  readonly error?: unknown
}

/** An event of a lock. */
export type LockRecord = LockStart &
  (
    | ({ readonly type: 'granted' | 'refused' } & Omit<LockWaitRecord, keyof LockStart>)
    | { readonly type: 'released'; readonly heldMs: number }
    /** The lock is no longer certain to be held. */
    | { readonly type: 'lost'; readonly heldMs: number; readonly error: unknown }
  )
