import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, durationMs, optionalSignal } from '../core/validate.js'
import type { Method } from '../protobuf/methods.js'
import { endpointOf } from '../transport/call-progress.js'
import type { CallContext, CallMetadata, Interceptor } from '../transport/transport.js'

/** One unary call, as an interceptor sees it. */
export interface UnaryCall {
  /** The RPC, for example `KV.Put`. Reads of the same tick are one `KV.Txn`. */
  readonly method: string
  /**
   * The message, with the field names of etcd in camel case and bytes for keys and values. It is for information: changes of it
   * have no effect. Reads or writes that are sent as one transaction have an empty one.
   */
  readonly request: object
  /** What interceptors have added to the metadata; empty for the first of them. Tokens are not in it. */
  readonly metadata: Readonly<Record<string, string>>
  /** The time left for the call and all of its retries, in milliseconds; `Infinity` without a limit. */
  readonly timeoutMs: number
  /** Ends the call. */
  readonly signal: AbortSignal | undefined
  /** The only member that may serve the call, for a call about one member. */
  readonly endpoint: string | undefined
}

/** The response to a unary call. */
export interface UnaryResponse {
  /** The message, with the field names of etcd in camel case. */
  readonly message: object
  /** The member that answered. */
  readonly endpoint: string | undefined
  /** How many attempts were made. */
  readonly attempts: number
}

/**
 * Wraps every unary call of a client: it sees the call first and the response last, around all retries. It may make the call with
 * `next`, once, several times or not at all, and throw an error instead, which the caller receives.
 *
 * @param next Makes the call. `metadata`, `timeoutMs` and `signal` of its argument apply; other changes have no effect.
 * @returns The response of `next`.
 * @example
 * ```ts
 * const tracing: UnaryInterceptor = (call, next) =>
 *   next({ ...call, metadata: { ...call.metadata, 'x-request-id': requestId() } })
 * ```
 */
export type UnaryInterceptor = (
  call: UnaryCall,
  next: (call: UnaryCall) => Promise<UnaryResponse>,
) => Promise<UnaryResponse>

const noMetadata: CallMetadata = Object.freeze({})
const callNames = ['method', 'request', 'metadata', 'timeoutMs', 'signal', 'endpoint']
/** The headers of gRPC, of HTTP/2 and of this client. */
const reserved =
  /^(:|grpc-|content-type$|te$|user-agent$|host$|connection$|token$|authorization$|hasleader$|client-api-version$)/

/** Validates the option `interceptors`. */
export function checkInterceptors(interceptors: unknown): readonly UnaryInterceptor[] {
  if (interceptors === undefined) return []
  if (!Array.isArray(interceptors)) {
    throw new InvalidArgumentError(`\`interceptors\` must be an array of functions, got ${describe(interceptors)}`)
  }
  const wrong = interceptors.findIndex((each) => typeof each !== 'function')
  if (wrong < 0) return [...interceptors]
  throw new InvalidArgumentError(`\`interceptors[${wrong}]\` must be a function, got ${describe(interceptors[wrong])}`)
}

/** Lets an interceptor of the user wrap calls. */
export function userInterceptor(interceptor: UnaryInterceptor): Interceptor {
  return async (method, request, context, next) => {
    type Response = Awaited<ReturnType<typeof next>>
    const call = callOf(method, request, context)
    const response = await interceptor(call, async (changed) => {
      const message = await next(method, request, changed === call ? context : changedContext(context, call, changed))
      const { progress } = context
      return { message: message as object, endpoint: endpointOf(progress), attempts: progress.attempts }
    })
    // What `next` resolves to, or what an interceptor that makes no call returns in its place.
    return messageOf(response) as Response
  }
}

function callOf({ name }: Pick<Method<unknown, unknown>, 'name'>, request: unknown, context: CallContext): UnaryCall {
  const { deadlineAt, signal, route, addedMetadata = noMetadata } = context
  return {
    method: name,
    // The request of a batch is a list of calls.
    request: Array.isArray(request) ? {} : (request as object),
    metadata: addedMetadata,
    timeoutMs: Math.max(0, deadlineAt - performance.now()),
    signal,
    endpoint: route.endpoint,
  }
}

/** `unknown`, because programs in JavaScript may pass anything. */
function changedContext(context: CallContext, call: UnaryCall, changed: unknown): CallContext {
  assertKnownOptions('next()', changed as object, callNames)
  const { metadata, timeoutMs = call.timeoutMs, signal } = changed as Partial<UnaryCall>
  const isSameTime = timeoutMs === call.timeoutMs
  return {
    ...context,
    signal: optionalSignal('signal', signal),
    deadlineAt: isSameTime ? context.deadlineAt : performance.now() + durationMs('timeoutMs', timeoutMs),
    addedMetadata: metadata === call.metadata ? context.addedMetadata : checkedMetadata(metadata),
  }
}

function checkedMetadata(metadata: unknown): CallMetadata {
  if (typeof metadata !== 'object' || metadata === null) {
    throw new InvalidArgumentError(`\`metadata\` must be an object, got ${describe(metadata)}`)
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z0-9_.:-]+$/.test(name) || reserved.test(name) || name.endsWith('-bin')) {
      throw new InvalidArgumentError(
        `names in \`metadata\` must be lower-case headers of your own, not ending in -bin, got ${describe(name)}`,
      )
    }
    // The value may be secret.
    if (typeof value !== 'string' || !/^[\x20-\x7e]*$/.test(value)) {
      throw new InvalidArgumentError(`\`metadata.${name}\` must be a string of printable ASCII characters`)
    }
  }
  return Object.freeze({ ...metadata }) as CallMetadata
}

function messageOf(response: Partial<UnaryResponse> | undefined): object {
  if (typeof response?.message === 'object' && response.message !== null) return response.message
  const got = response === undefined ? 'undefined: does it lack a `return`?' : describe(response)
  throw new InvalidArgumentError(`an interceptor must return the response of next(), got ${got}`)
}
