import { isEtcdError } from '../../core/errors.js'
import type { ReadPolicyTable, ResolvedReadPolicy } from '../../core/read-policy.js'
import { notInTime, waitWithin } from '../../core/wait.js'
import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import { endpointOf, progressOf, responseBytesOf } from '../../transport/call-progress.js'
import { anyMember, type CallContext, type Route } from '../../transport/transport.js'
import type { KvService } from '../kv-service.js'
import { requestRange } from '../wire-range.js'
import type { CachedRead, ReadCache } from './read-cache.js'

/** What the read modes work with. */
export interface ReadModeOptions {
  readonly policy: ReadPolicyTable
  /** The highest revision this client has seen. */
  readonly minRevision: () => number
  /** What reads of the mode `cached` may be answered from. */
  readonly cache: ReadCache
  /** Whether a healthy member is left that has not been tried yet. */
  readonly hasUntriedEndpoint: (route: Route, excludedEndpoints: ReadonlySet<string>) => boolean
}

const fallbackShare = 1 / 3
const fallbackAfterMs = 2000

/**
 * Applies the read-mode policy to reads.
 *
 * A serializable read must reach the revision that this client has seen when the read is made: a member that is behind is
 * left for another one, and when all are behind the read becomes linearizable. So reads never go back in time, and always
 * see the client's writes.
 */
export function withReadModes(inner: KvService, options: ReadModeOptions): KvService {
  const modes = new ReadModes(inner.range, options)
  return { ...inner, range: (request, context) => modes.read(request, context) }
}

class ReadModes {
  readonly #range: KvService['range']
  readonly #options: ReadModeOptions

  constructor(range: KvService['range'], options: ReadModeOptions) {
    this.#range = range
    this.#options = options
  }

  read(request: RangeRequest, context: CallContext): Promise<RangeResponse> {
    const policy = this.#policyOf(request, context)
    if (policy.mode === 'cached') return this.#readCached(request, context, policy)
    if (policy.mode === 'serializable') return this.#readSerializable(request, context, policy)
    const linearizable = linearizableContext(context, policy)
    if (policy.fallback === undefined) return this.#range(request, linearizable)
    return this.#readOrFallBack(request, linearizable, policy)
  }

  #policyOf(request: RangeRequest, { readPolicy }: CallContext): ResolvedReadPolicy {
    const { policy } = this.#options
    const plain = readPolicy === undefined ? policy.plain : undefined
    return plain ?? policy.resolve(requestRange(request), readPolicy)
  }

  async #readCached(request: RangeRequest, context: CallContext, policy: ResolvedReadPolicy): Promise<RangeResponse> {
    if (!context.mayUseCache) return this.#readSerializable(request, context, policy)
    const { cache, minRevision } = this.#options
    const range = requestRange(request)
    const confirming = cache.confirm(range)
    if (confirming !== undefined) await untilConfirmed(confirming, context)
    const cached = cache.answer(request, range)
    if (cached !== undefined) return fromCache(cached, context, minRevision())
    const pending = cache.begin(request, range)
    try {
      const response = await this.#readSerializable(request, context, policy)
      const { progress } = context
      cache.end(pending, { response, endpoint: endpointOf(progress), bytes: responseBytesOf(progress) })
      return response
    } catch (error) {
      cache.end(pending, undefined)
      throw error
    }
  }

  async #readSerializable(
    request: RangeRequest,
    context: CallContext,
    policy: ResolvedReadPolicy,
  ): Promise<RangeResponse> {
    const minRevision = this.#options.minRevision()
    const serializable = { ...request, serializable: true }
    const behind = new Set<string>()
    let attempt = serializableContext(context, policy)
    let excludedEndpoints: ReadonlySet<string>
    let known: number
    do {
      known = behind.size
      const response = await rangeUnlessBehind(this.#range, serializable, attempt, minRevision)
      if (response !== undefined) return response
      const { endpoint, failedEndpoints = [] } = context.progress
      if (endpoint !== undefined) behind.add(endpoint)
      excludedEndpoints = new Set([...failedEndpoints, ...behind])
      attempt = { ...attempt, excludedEndpoints }
      // An interceptor may answer without a call: another attempt would bring the same answer.
    } while (behind.size > known && this.#options.hasUntriedEndpoint(attempt.route, excludedEndpoints))
    return this.#range(request, { ...linearizableContext(context, policy), excludedEndpoints })
  }

  async #readOrFallBack(
    request: RangeRequest,
    context: CallContext,
    policy: ResolvedReadPolicy,
  ): Promise<RangeResponse> {
    const now = performance.now()
    const deadlineAt = now + Math.min((context.deadlineAt - now) * fallbackShare, fallbackAfterMs)
    try {
      return await this.#range(request, { ...context, deadlineAt })
    } catch (error) {
      if (!lacksLeader(error)) throw error
      const response = await this.#fallBack({ ...request, serializable: true }, context, policy)
      progressOf.reads(context).isStale = response !== undefined
      if (response !== undefined) return response
      const excludedEndpoints = context.progress.failedEndpoints
      return this.#range(request, { ...linearizableContext(context, policy), excludedEndpoints })
    }
  }

  /** Whatever a member has; `undefined` if the read is of a revision that none of them has reached. */
  async #fallBack(
    request: RangeRequest,
    context: CallContext,
    policy: ResolvedReadPolicy,
  ): Promise<RangeResponse | undefined> {
    // The members that the linearizable read has excluded, since they have no leader, can serve it.
    const first = serializableContext(context, policy)
    const behind = new Set<string>()
    // Without a leader no member is healthy: that all were tried shows when one is picked again.
    for (let known = -1; known < behind.size; ) {
      known = behind.size
      const attempt = known === 0 ? first : { ...first, excludedEndpoints: new Set(behind) }
      const response = await rangeUnlessBehind(this.#range, request, attempt, 0)
      if (response !== undefined) return response
      const { endpoint } = context.progress
      if (endpoint !== undefined) behind.add(endpoint)
    }
    return undefined
  }
}

/** The response, or `undefined` from a member that has not reached `minRevision`. */
async function rangeUnlessBehind(
  range: KvService['range'],
  request: RangeRequest,
  context: CallContext,
  minRevision: number,
): Promise<RangeResponse | undefined> {
  const { revision = 0 } = request
  try {
    const response = await range(request, context)
    // The keys at a past revision do not depend on what the member has applied since.
    const isEnough = revision > 0 || (response.header?.revision ?? 0) >= minRevision
    return isEnough ? response : undefined
  } catch (error) {
    if (isEtcdError(error, 'FUTURE_REVISION')) return undefined
    throw error
  }
}

function linearizableContext(context: CallContext, { prefer }: ResolvedReadPolicy): CallContext {
  progressOf.reads(context).servedAs = 'linearizable'
  if (prefer === undefined && context.route === anyMember && context.requiresFloor) return context
  const { endpoint } = context.route
  return { ...context, route: { serializable: false, prefer, endpoint }, requiresFloor: true }
}

function serializableContext(context: CallContext, { prefer }: ResolvedReadPolicy): CallContext {
  progressOf.reads(context).servedAs = 'serializable'
  const { endpoint } = context.route
  return { ...context, route: { serializable: true, prefer, endpoint }, requiresFloor: false }
}

/** Waits within the bounds of the call. A copy that is not confirmed in time counts as cut off. */
async function untilConfirmed(confirming: Promise<void>, { signal, deadlineAt }: CallContext): Promise<void> {
  const timeoutMs = deadlineAt - performance.now()
  const late = (): Error => notInTime('the copy was not confirmed in time')
  await waitWithin(confirming, { signal, timeoutMs }, late).catch(() => signal?.throwIfAborted())
}

function fromCache(cached: CachedRead, context: CallContext, minRevision: number): RangeResponse {
  const { response, endpoint, bytes, isCutOff = false } = cached
  const isBehind = (response.header?.revision ?? 0) < minRevision
  if (isBehind) cached.catchUp?.()
  const reads = progressOf.reads(context)
  reads.servedAs = 'cached'
  reads.isStale = isCutOff || isBehind
  reads.cachedAnswer = { endpoint, bytes }
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
