import type { EtcdError } from '../core/errors.js'
import type { Preference, ReadPolicy } from '../core/read-policy.js'
import type { Method } from '../protobuf/methods.js'

/** What decides where a call may go. */
export interface Route {
  /** A member that has no leader, or a learner, can serve it too. */
  readonly serializable: boolean
  readonly prefer: Preference | undefined
  /** The one member to ask, by its URL: for calls about a member, such as `Maintenance.Status`. */
  readonly endpoint: string | undefined
  /** Never a member that is ejected, not even where there is no other. @default false */
  readonly healthyOnly?: boolean
}

/** Request metadata. Frozen and shared between calls, so that its gRPC form is made once. */
export type CallMetadata = Readonly<Record<string, string>>

/** What every public call takes. */
export interface CallOptions {
  /** Ends the call: it rejects with the signal's reason at once. A write that was sent already has an unknown effect. */
  readonly signal?: AbortSignal | undefined
  /**
   * Bound of the whole call in milliseconds: connecting, every attempt and every wait between them. `Infinity` for none.
   * @default the client's `timeoutMs`, 10 000
   */
  readonly timeoutMs?: number | undefined
}

/** What is told of a call, while somebody listens. */
export interface CallTrail {
  /** Counts what has become, until now, of the call that carries this one as this one's own. */
  takeOver(carrier: CallContext): void
}

/** The calls that one call carries. */
export interface CarriedCalls {
  /** Their RPC, for example `KV.Range`. */
  readonly method: string
  readonly contexts: readonly CallContext[]
}

/**
 * One call on its way through the layers: what the caller asked for, and the record of what happened to it. Layers write
 * only the fields that are theirs, named in the comments.
 */
export interface CallContext {
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number | undefined
  /** It may be sent again although an earlier attempt may have been applied. */
  readonly repeatable: boolean
  /** Its answer may not be older than what this client has seen: a linearizable read, or a write of keys. */
  consistent: boolean
  /** A member answers by what it has applied itself: its revision may be older all the same. */
  readonly ownView: boolean
  /** It is one raft proposal: when a leader is elected while it is under way, it may be lost. */
  readonly proposal: boolean
  route: Route
  /** The caller's own read policy, for a read. */
  readonly reads: ReadPolicy | undefined
  /** Whether the answer may come from memory where the policy says so; the read-mode layer tells whether it did. */
  memory: 'never' | 'allowed' | 'used'
  /** Read-mode layer: the read was answered without a leader, and may be older than what this client has seen. */
  stale: boolean
  /** When it was made; all times are of `performance.now()`. */
  readonly startedAt: number
  /** Deadline layer. */
  deadlineAt: number
  /** Auth layer: the token to send, if any, and the time spent waiting for one. */
  token: string | undefined
  authMs: number
  /** Metadata layer. */
  metadata: CallMetadata
  /** Retry layer: how often it was tried, the endpoints that failed it, and the time spent waiting in between. */
  attempts: number
  excludedEndpoints: Set<string> | undefined
  /** Retry layer: an attempt that it has repeated may have been applied. */
  mayBeApplied: boolean
  backoffMs: number
  /** Retry layer: the failure of the last attempt that it makes another one after. */
  trouble: EtcdError | undefined
  /** Balancer: time spent waiting for a connection, the member that answered or failed last, the size of its answer. */
  connectMs: number
  endpoint: string | undefined
  responseBytes: number
  /** Observe layer: what is told of the call, while somebody listens. */
  trace: CallTrail | undefined
  /** Batching: the calls of callers that are made as this one; `undefined` for a caller's own. */
  carried: CarriedCalls | undefined
  /** Balancer: the request as bytes, kept so that a repeat sends what the first attempt sent. */
  encoded: { readonly request: unknown; readonly message: Buffer } | undefined
}

/** Runs calls. Layers wrap it and keep its contract. */
export interface Transport {
  /**
   * Makes one unary call. Rejects with an `EtcdError`, or with the signal's reason when it aborts. Never throws
   * synchronously.
   */
  unary<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext): Promise<Response>
}

/** Adds behaviour to a transport by wrapping it. */
export type Layer = (inner: Transport) => Transport

/** Wraps `base`; the first layer listed is the outermost, so it sees the call first. */
export function stack(base: Transport, ...layers: readonly Layer[]): Transport {
  return layers.reduceRight((inner, layer) => layer(inner), base)
}

/** Any healthy voting member, in turn. */
export const anyMember: Route = Object.freeze({ serializable: false, prefer: undefined, endpoint: undefined })

const noMetadata: CallMetadata = Object.freeze({})

/** What a service knows about a call, beside its method and the caller's options. */
export interface CallKind {
  readonly route?: Route
  /** @default false */
  readonly repeatable?: boolean
  /** @default false */
  readonly consistent?: boolean
  /** @default false */
  readonly ownView?: boolean
  /** @default false */
  readonly proposal?: boolean
  readonly reads?: ReadPolicy | undefined
  /** @default 'never' */
  readonly memory?: 'never' | 'allowed'
}

/** The record of a call that is about to be made. */
export function callContext(options: CallOptions | undefined, kind: CallKind): CallContext {
  return {
    signal: options?.signal,
    timeoutMs: options?.timeoutMs,
    repeatable: kind.repeatable ?? false,
    consistent: kind.consistent ?? false,
    ownView: kind.ownView ?? false,
    proposal: kind.proposal ?? false,
    route: kind.route ?? anyMember,
    reads: kind.reads,
    memory: kind.memory ?? 'never',
    stale: false,
    startedAt: performance.now(),
    deadlineAt: Number.POSITIVE_INFINITY,
    token: undefined,
    authMs: 0,
    metadata: noMetadata,
    attempts: 0,
    excludedEndpoints: undefined,
    mayBeApplied: false,
    backoffMs: 0,
    trouble: undefined,
    connectMs: 0,
    endpoint: undefined,
    encoded: undefined,
    trace: undefined,
    carried: undefined,
    responseBytes: 0,
  }
}
