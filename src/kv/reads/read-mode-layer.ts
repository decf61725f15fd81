import { isEtcdError } from '../../core/errors.js'
import type { ReadPolicyTable, ResolvedReadPolicy } from '../../core/read-policy.js'
import { notInTime, waitWithin } from '../../core/wait.js'
import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import { endpointOf, progressOf, responseBytesOf } from '../../transport/call-progress.js'
import { anyMember, type CallContext, type Layer, type Route, type Transport } from '../../transport/transport.js'
import { rangeOf } from '../wire-range.js'
import type { MemoryAnswer, ReadCache } from './read-cache.js'

/** What the read-mode layer works with. */
export interface ReadModeOptions {
  readonly policy: ReadPolicyTable
  /** The highest revision this client has seen. */
  readonly floor: () => number
  /** What reads of the mode `cached` may be answered from. */
  readonly memory: ReadCache
  /** Whether a healthy member is left that has not been asked yet. */
  readonly hasUntriedEndpoint: (route: Route, excludedEndpoints: ReadonlySet<string>) => boolean
}

const fallbackShare = 1 / 3
const fallbackAfterMs = 2000

/**
 * Applies the read-mode policy to `KV.Range`; other calls pass untouched.
 *
 * A serializable read is held to the revision that this client has seen when it is made: a member that is behind is left
 * for another one, and when all are behind the read becomes linearizable. So reads never go back in time, and always see
 * the client's own writes.
 */
export function readModeLayer(options: ReadModeOptions): Layer {
  return (inner) => new ReadModeTransport(inner, options)
}

class ReadModeTransport implements Transport {
  readonly #inner: Transport
  readonly #options: ReadModeOptions

  constructor(inner: Transport, options: ReadModeOptions) {
    this.#inner = inner
    this.#options = options
  }

  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    context: CallContext,
  ): Promise<Response> {
    if ((method as unknown) !== methods.KV.Range) return this.#inner.unary(method, request, context)
    // The method is KV.Range, hence these are its messages.
    return this.#read(request as RangeRequest, context) as Promise<never>
  }

  #read(request: RangeRequest, context: CallContext): Promise<RangeResponse> {
    const { policy } = this.#options
    const plain = context.readPolicy === undefined ? policy.plain : undefined
    const resolved = plain ?? policy.resolve(rangeOf(request), context.readPolicy)
    if (resolved.mode === 'cached') return this.#readCached(request, context, resolved)
    if (resolved.mode === 'serializable') return this.#readSerializable(request, context, resolved)
    const linearizable = linearizableRead(context, resolved)
    if (resolved.fallback === undefined) return this.#inner.unary(methods.KV.Range, request, linearizable)
    return this.#readOrFallBack(request, linearizable, resolved)
  }

  async #readCached(request: RangeRequest, context: CallContext, resolved: ResolvedReadPolicy): Promise<RangeResponse> {
    if (!context.mayUseCache) return this.#readSerializable(request, context, resolved)
    const { memory } = this.#options
    const range = rangeOf(request)
    const confirming = memory.confirm(range)
    if (confirming !== undefined) await untilConfirmed(confirming, context)
    const remembered = memory.answer(request, range)
    if (remembered !== undefined) return fromMemory(remembered, context, this.#options.floor())
    const asking = memory.ask(request, range)
    try {
      const response = await this.#readSerializable(request, context, resolved)
      const { progress } = context
      memory.asked(asking, { response, endpoint: endpointOf(progress), bytes: responseBytesOf(progress) })
      return response
    } catch (error) {
      memory.asked(asking, undefined)
      throw error
    }
  }

  async #readSerializable(
    request: RangeRequest,
    context: CallContext,
    resolved: ResolvedReadPolicy,
  ): Promise<RangeResponse> {
    const { floor, hasUntriedEndpoint } = this.#options
    const seen = floor()
    const serializable = { ...request, serializable: true }
    const behind = new Set<string>()
    let attempt = serializableRead(context, resolved)
    do {
      const response = await rangeUnlessBehind(this.#inner, serializable, attempt, seen)
      if (response !== undefined) return response
      if (attempt.progress.endpoint !== undefined) behind.add(attempt.progress.endpoint)
      const { failedEndpoints } = attempt.progress
      attempt = { ...attempt, excludedEndpoints: new Set([...(failedEndpoints ?? []), ...behind]) }
    } while (hasUntriedEndpoint(attempt.route, attempt.excludedEndpoints ?? behind))
    const { excludedEndpoints } = attempt
    return this.#inner.unary(methods.KV.Range, request, { ...linearizableRead(context, resolved), excludedEndpoints })
  }

  async #readOrFallBack(
    request: RangeRequest,
    context: CallContext,
    resolved: ResolvedReadPolicy,
  ): Promise<RangeResponse> {
    const now = performance.now()
    const deadlineAt = now + Math.min((context.deadlineAt - now) * fallbackShare, fallbackAfterMs)
    try {
      return await this.#inner.unary(methods.KV.Range, request, { ...context, deadlineAt })
    } catch (error) {
      if (!lacksLeader(error)) throw error
      const response = await this.#fallBack({ ...request, serializable: true }, context, resolved)
      progressOf.reads(context).isStale = response !== undefined
      if (response !== undefined) return response
      const { failedEndpoints } = context.progress
      return this.#inner.unary(methods.KV.Range, request, {
        ...linearizableRead(context, resolved),
        excludedEndpoints: failedEndpoints,
      })
    }
  }

  /** Whatever a member has; `undefined` where the read is of a revision to which none of them has come yet. */
  async #fallBack(
    request: RangeRequest,
    context: CallContext,
    resolved: ResolvedReadPolicy,
  ): Promise<RangeResponse | undefined> {
    // Those that have no leader can serve it, too.
    const read = serializableRead(context, resolved)
    const behind = new Set<string>()
    // Without a leader no member is healthy: that all were asked shows when one is asked again.
    for (let known = -1; known < behind.size; ) {
      known = behind.size
      const attempt = behind.size === 0 ? read : { ...read, excludedEndpoints: new Set(behind) }
      const response = await rangeUnlessBehind(this.#inner, request, attempt, 0)
      if (response !== undefined) return response
      if (attempt.progress.endpoint !== undefined) behind.add(attempt.progress.endpoint)
    }
    return undefined
  }
}

/** The answer, or `undefined` from a member that has not come as far as this client has seen. */
async function rangeUnlessBehind(
  inner: Transport,
  request: RangeRequest,
  context: CallContext,
  seen: number,
): Promise<RangeResponse | undefined> {
  const pinned = request.revision ?? 0
  try {
    const response = await inner.unary(methods.KV.Range, request, context)
    // What a past revision held does not depend on how far the member has come since.
    const enough = pinned > 0 || (response.header?.revision ?? 0) >= seen
    return enough ? response : undefined
  } catch (error) {
    if (isEtcdError(error, 'FUTURE_REVISION')) return undefined
    throw error
  }
}

function linearizableRead(context: CallContext, { prefer }: ResolvedReadPolicy): CallContext {
  progressOf.reads(context).servedAs = 'linearizable'
  if (prefer === undefined && context.route === anyMember && context.requiresFloor) return context
  const { endpoint } = context.route
  return { ...context, route: { serializable: false, prefer, endpoint }, requiresFloor: true }
}

function serializableRead(context: CallContext, { prefer }: ResolvedReadPolicy): CallContext {
  progressOf.reads(context).servedAs = 'serializable'
  const { endpoint } = context.route
  return { ...context, route: { serializable: true, prefer, endpoint }, requiresFloor: false }
}

/** Waits within the bounds of the call. A copy that is not confirmed in its time counts as cut off. */
async function untilConfirmed(confirming: Promise<void>, { signal, deadlineAt }: CallContext): Promise<void> {
  const timeoutMs = deadlineAt - performance.now()
  const late = (): Error => notInTime('the copy was not confirmed in time')
  await waitWithin(confirming, { signal, timeoutMs }, late).catch(() => signal?.throwIfAborted())
}

function fromMemory(answer: MemoryAnswer, context: CallContext, seen: number): RangeResponse {
  const { response, endpoint, bytes, isCutOff = false } = answer
  const isBehind = (response.header?.revision ?? 0) < seen
  if (isBehind) answer.catchUp?.()
  Object.assign(progressOf.reads(context), {
    servedAs: 'cached',
    isStale: isCutOff || isBehind,
    cachedAnswer: { endpoint, bytes },
  })
  return response
}

function lacksLeader(error: unknown): boolean {
  if (!isEtcdError(error)) return false
  switch (error.code) {
    case 'NO_LEADER':
    case 'LEADER_CHANGED':
    case 'DEADLINE_EXCEEDED':
    case 'SERVER_TIMEOUT':
    case 'SERVER_TIMEOUT_LEADER_FAILED':
    case 'SERVER_TIMEOUT_CONNECTION_LOST':
      return true
    default:
      return false
  }
}
