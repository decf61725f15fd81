import type { Preference, ReadPolicy } from '../core/read-policy.js'
import type { Method } from '../protobuf/methods.js'
import { type CallMetadata, type CallProgress, newProgress } from './call-progress.js'

export type { CallMetadata } from './call-progress.js'

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

/** What a service knows about a call, beside its method and the caller's options. */
export interface CallKind {
  /** @default any healthy voting member */
  readonly route?: Route
  /** It may be sent again although an earlier attempt may have been applied. @default false */
  readonly repeatable?: boolean
  /** Its answer may not be older than what this client has seen: a linearizable read, or a write of keys. @default false */
  readonly requiresFloor?: boolean
  /**
   * Of one that requires the floor: a member answers from what it has applied, so its revision may be older all the same.
   * @default false
   */
  readonly skipsRevisionCheck?: boolean
  /** It is one raft proposal: when a leader is elected while it is in flight, it may be lost. @default false */
  readonly proposal?: boolean
  /** The caller's own read policy, for a read. */
  readonly readPolicy?: ReadPolicy | undefined
  /** Whether the answer may come from memory where the policy says so. @default false */
  readonly mayUseCache?: boolean
  /** Metadata of a call that passes no interceptors. */
  readonly metadata?: CallMetadata
}

/**
 * One call on its way to a member: what was asked for, which never changes, and its progress. A part that wants another
 * route or deadline for what it passes on derives a context, `{ ...context, route }`, which shares the progress.
 */
export interface CallContext extends Readonly<Required<Omit<CallKind, 'metadata'>>> {
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number | undefined
  /** When it was made; all times are of `performance.now()`. */
  readonly startedAt: number
  /** Without a `timeoutMs`, `Infinity` until the deadline interceptor sets the client's default. */
  readonly deadlineAt: number
  /** Metadata that interceptors of the user have added. */
  readonly addedMetadata: CallMetadata | undefined
  /** Members to avoid where there is a choice. */
  readonly excludedEndpoints: ReadonlySet<string> | undefined
  readonly progress: CallProgress
}

/** Any healthy voting member, in turn. */
export const anyMember: Route = Object.freeze({ serializable: false, prefer: undefined, endpoint: undefined })

/**
 * The context of a call that is about to be made. A service that makes many calls passes the client's default timeout, which
 * the deadline interceptor would otherwise add to a copy of the context.
 */
export function callContext(
  options: CallOptions | undefined,
  kind: CallKind,
  defaultTimeoutMs: number | undefined = undefined,
): CallContext {
  const startedAt = performance.now()
  const timeoutMs = options?.timeoutMs ?? defaultTimeoutMs
  return {
    signal: options?.signal,
    timeoutMs,
    startedAt,
    deadlineAt: timeoutMs === undefined ? Number.POSITIVE_INFINITY : startedAt + timeoutMs,
    route: kind.route ?? anyMember,
    repeatable: kind.repeatable ?? false,
    requiresFloor: kind.requiresFloor ?? false,
    skipsRevisionCheck: kind.skipsRevisionCheck ?? false,
    proposal: kind.proposal ?? false,
    readPolicy: kind.readPolicy,
    mayUseCache: kind.mayUseCache ?? false,
    addedMetadata: undefined,
    excludedEndpoints: undefined,
    progress: newProgress(kind.metadata),
  }
}

/** Makes calls. */
export interface Transport {
  /** Makes one unary call. Rejects with an `EtcdError`, or with the signal's reason when it aborts. */
  unary<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext): Promise<Response>
}

/** Makes calls of one kind: what an interceptor wraps. */
export type UnaryHandler<Request, Response> = (
  method: Method<Request, Response>,
  request: Request,
  context: CallContext,
) => Promise<Response>

/** Wraps any call: does its part, and makes the call with `next`, once, several times or not at all. */
export type Interceptor = <Request, Response>(
  method: Method<Request, Response>,
  request: Request,
  context: CallContext,
  next: UnaryHandler<Request, Response>,
) => Promise<Response>

/** Puts interceptors around a transport. The first one listed is the outermost: it sees the call first. */
export function intercept(transport: Transport, ...interceptors: readonly Interceptor[]): Transport {
  return interceptors.reduceRight<Transport>((inner, interceptor) => {
    const next: Transport['unary'] = (method, request, context) => inner.unary(method, request, context)
    return { unary: (method, request, context) => interceptor(method, request, context, next) }
  }, transport)
}
