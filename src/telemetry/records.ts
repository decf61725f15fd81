import type { Effect, ErrorCode } from '../core/errors.js'
import type { ReadMode } from '../core/read-policy.js'

/** The client that a record is about. All records of one client hold the same object. */
export interface ClientIdentity {
  /** Another number for each client of the process. */
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

/** Which keys a call is about. */
export type RangeKind = 'key' | 'prefix' | 'range' | 'from' | 'all'

/** What a call asks for. Values are never in it. */
export interface CallRequest {
  readonly range: RangeKind | undefined
  /**
   * The key, the prefix or the first key, with the namespaces before it; of a transaction, the first one that it names. Bytes
   * that are no text are hexadecimal, after `0x`. `undefined` for all keys, and with `diagnostics: { keys: false }`.
   */
  readonly keyText: string | undefined
  /** The operations of a transaction, in both branches; 1 for every other call. */
  readonly operations: number
}

/** What is known of a call when it begins. */
export interface CallStart {
  readonly client: ClientIdentity
  /** Another number for each call of the process. */
  readonly callId: number
  /** The RPC, for example `KV.Range`. */
  readonly method: string
  /** Its path on the wire, for example `/etcdserverpb.KV/Range`. */
  readonly path: string
  readonly request: CallRequest
}

/** A call that has ended, whatever came of it. Times are in milliseconds, and add up to `durationMs`. */
export interface CallRecord extends CallStart {
  /** From the call to its end. */
  readonly durationMs: number
  /** Spent in this process: for a batch, for the event loop, for whatever is not named below. */
  readonly queueMs: number
  /** Spent waiting for a token. */
  readonly authMs: number
  /** Spent waiting for a connection. */
  readonly connectMs: number
  /** Spent waiting between attempts. */
  readonly backoffMs: number
  /** From the sending of each attempt to its end. */
  readonly wireMs: number
  /** How often it was sent. */
  readonly attempts: number
  /** Each sending, of the call itself or of the batch that it was in, with why it was made and what came of it. */
  readonly attemptRecords: readonly AttemptRecord[]
  /** The member that answered, or failed to, last. */
  readonly endpoint: string | undefined
  /** What that member does, as far as it is known. */
  readonly role: 'leader' | 'follower' | 'learner' | undefined
  /** How a read was served; `undefined` for other calls. */
  readonly mode: ReadMode | undefined
  /** Size of the request; 0 if it was never encoded. */
  readonly requestBytes: number
  /** Size of the answer; 0 if there was none. */
  readonly responseBytes: number
  /** Keys in the answer: those that were read, or deleted. */
  readonly responseKeys: number
  readonly outcome: CallOutcome
  /** What it rejected with. Not enumerable. */
  readonly error?: unknown
}

/** What is known of an attempt when it begins. */
export interface AttemptStart {
  readonly client: ClientIdentity
  /**
   * The call that it belongs to, of a batch the first; `undefined` for calls that the client makes for itself, such as
   * `Auth.Authenticate`.
   */
  readonly callId: number | undefined
  readonly method: string
  readonly path: string
  /** The operations of a transaction, be it a batch or one that was asked for; 1 for everything else. */
  readonly operations: number
  /** Which attempt of the call it is, from 1. */
  readonly attempt: number
  /** `first`, the code that the attempt before has failed with, or `behind`: its member had not come far enough. */
  readonly reason: 'first' | 'behind' | 'aborted' | ErrorCode
}

/** Calls that this client has made one request of. */
export interface AttemptBatch {
  /** What each of them asked for, for example `KV.Range`. */
  readonly method: string
  /** How many they are: more than `operations` where some ask for the same. */
  readonly calls: number
}

/** One sending of a call that has ended. */
export interface AttemptRecord extends AttemptStart {
  readonly durationMs: number
  /** Part of it that was spent waiting for a connection. */
  readonly connectMs: number
  /** The member it was sent to; `undefined` when there was none to send it to. */
  readonly endpoint: string | undefined
  readonly requestBytes: number
  readonly responseBytes: number
  /** `undefined` for a call that goes by itself. */
  readonly batch: AttemptBatch | undefined
  readonly outcome: CallOutcome
  /** What it failed with. Not enumerable. */
  readonly error?: unknown
}

/** What is known of a request for a token when it begins. */
export interface AuthenticateStart {
  readonly client: ClientIdentity
  readonly username: string | undefined
  readonly reason: 'first' | 'expiring' | 'rejected'
}

/** A request for a token that has ended. Neither the token nor the password is in it. */
export interface AuthenticateRecord extends AuthenticateStart {
  /** The member that was asked last. */
  readonly endpoint: string | undefined
  readonly durationMs: number
  readonly outcome: CallOutcome
  /** What it failed with. Not enumerable. */
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
  /** Why it is not ready, where that is known. */
  readonly reason: string | undefined
  /** How long it was in the state before. */
  readonly previousMs: number
}

/** A client has gone on with another cluster. */
export interface ClusterRecord {
  readonly client: ClientIdentity
  /** The ID of the cluster before. */
  readonly expected: string
  /** The ID of the cluster from now on. */
  readonly actual: string
  /** The endpoints that belong to it. */
  readonly agreed: readonly string[]
  /** The endpoints that could not be asked. */
  readonly unreachable: readonly string[]
}

/** What may happen on a stream. */
export type StreamEvent =
  | { readonly type: 'opened' }
  /** A message was sent, or has come. */
  | { readonly type: 'sent' }
  | { readonly type: 'received' }
  /** It is over; one that this client has ended counts as aborted. */
  | { readonly type: 'ended'; readonly durationMs: number; readonly outcome: CallOutcome }

/** Where a stream goes. */
export interface StreamTarget {
  /** The RPC, for example `Watch.Watch`. */
  readonly method: string
  readonly path: string
  readonly endpoint: string
}

/** Something happened on a gRPC stream: of watches, of renewals of leases, of a listing or a snapshot. */
export type StreamRecord = { readonly client: ClientIdentity } & StreamTarget & StreamEvent

/** What is known of a watch when it is asked for. */
export interface WatchStart {
  readonly client: ClientIdentity
  readonly range: RangeKind
  readonly keyText: string | undefined
}

/** A watch that a member has confirmed, or that never came to be. */
export interface WatchCreateRecord extends WatchStart {
  readonly endpoint: string | undefined
  readonly durationMs: number
  readonly outcome: CallOutcome
  /** What it failed with. Not enumerable. */
  readonly error?: unknown
}

/** Something happened to the watches of a client. */
export type WatchRecord = { readonly client: ClientIdentity } & (
  | { readonly type: 'opened'; readonly range: RangeKind; readonly keyText: string | undefined }
  /** The stream was lost; the watches on it go on elsewhere with nothing missed. */
  | {
      readonly type: 'lost'
      readonly endpoint: string | undefined
      readonly watches: number
      readonly error: unknown
    }
  | { readonly type: 'resumed'; readonly endpoint: string; readonly watches: number; readonly downMs: number }
  /** One is over: closed by its consumer, or for good with `error`. */
  | {
      readonly type: 'ended'
      readonly range: RangeKind
      readonly keyText: string | undefined
      readonly reconnects: number
      readonly error: unknown
    }
)

/** Something happened to the leases of a client. */
export type LeaseRecord = { readonly client: ClientIdentity } & (
  | {
      readonly type: 'renewed'
      readonly leaseId: string
      readonly ttlSeconds: number
      /** From the sending of the renewal to its answer. */
      readonly durationMs: number
      /** What was left of the lease when the answer came. */
      readonly slackMs: number
    }
  | { readonly type: 'lost'; readonly leaseId: string; readonly reason: string; readonly error: unknown }
  /** The stream that renews the leases was lost; nothing else is, yet. */
  | {
      readonly type: 'keepAliveLost'
      readonly endpoint: string | undefined
      readonly leases: number
      readonly error: unknown
    }
  | { readonly type: 'keepAliveResumed'; readonly endpoint: string; readonly leases: number; readonly downMs: number }
)

/** Something happened to an informer. */
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
 * What a record of a lock is about: a lock (those of `lockAll()` each for itself), the wish to lead, a part in a read-write
 * lock, or a permit of a semaphore.
 */
export type LockKind = 'lock' | 'election' | 'read' | 'write' | 'semaphore'

/** What is known of a wait for a lock when it begins. */
export interface LockStart {
  readonly client: ClientIdentity
  readonly kind: LockKind
  /** The name of the lock or the election, with the namespaces before it; `undefined` with `diagnostics: { keys: false }`. */
  readonly name: string | undefined
}

/** A wait for a lock that has ended. */
export interface LockWaitRecord extends LockStart {
  readonly durationMs: number
  /** Of the lock, if it was granted. */
  readonly fence: number | undefined
  readonly outcome: CallOutcome
  /** What it failed with. Not enumerable. */
  readonly error?: unknown
}

/** Something happened to a lock, or to what is granted as one. */
export type LockRecord = LockStart &
  (
    | ({ readonly type: 'granted' | 'refused' } & Omit<LockWaitRecord, keyof LockStart>)
    | { readonly type: 'released'; readonly heldMs: number }
    /** It is no longer certain to be held. */
    | { readonly type: 'lost'; readonly heldMs: number; readonly error: unknown }
  )
