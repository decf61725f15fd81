import { withAnySignal } from '../core/abort.js'
import { isEtcdError } from '../core/errors.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import { type EndpointDirectory, pinnedTo } from '../transport/connection/endpoint-directory.js'
import type { EndpointStatus } from '../transport/connection/endpoint-status.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import { alarmsOf } from './alarms.js'
import type { Health, MemberHealth } from './health.js'
import { type ListedAlarms, notConnected, problemsOf } from './health-problems.js'

/** What a health check is made with. */
export interface HealthParts {
  readonly transport: Transport
  readonly directory: EndpointDirectory
  /** What is known of the endpoints without asking. */
  readonly endpoints: () => readonly EndpointStatus[]
}

const defaultTimeoutMs = 3000
/** The key that `etcdctl endpoint health` reads; it does not have to exist. */
const probeKey = Buffer.from('health')

/** Asks every member, and the cluster for its alarms, all at once. */
export async function checkHealth(parts: HealthParts, options: CallOptions = {}): Promise<Health> {
  checkCall('health()', options)
  const { signal, timeoutMs = defaultTimeoutMs } = options
  const bounds = { signal, timeoutMs }
  const urls = await parts.directory.urls(bounds)
  const nobodyServes = new AbortController()
  const [members, listed] = await Promise.all([
    Promise.all(urls.map((url) => memberHealth(parts, url, bounds))).then((asked) => {
      // Then nobody tells the alarms either.
      if (!asked.some(isServing)) nobodyServes.abort()
      return asked
    }),
    listAlarms(parts, bounds, nobodyServes.signal),
  ])
  const serves = members.some(isServing)
  const problems = problemsOf(members, listed, serves)
  const status = serves ? (problems.length === 0 ? 'healthy' : 'degraded') : 'unhealthy'
  return { status, problems, members, alarms: listed.alarms }
}

function isServing({ isHealthy, isLearner }: MemberHealth): boolean {
  return isHealthy && !isLearner
}

/** What came of asking a member: an `error`, or who it is. */
interface Probe {
  readonly error?: unknown
  readonly memberId?: string | undefined
  readonly isLearner?: boolean
}

async function memberHealth(parts: HealthParts, url: string, options: CallOptions): Promise<MemberHealth> {
  const startedAt = performance.now()
  const { error, memberId, isLearner } = await probe(parts, url, options)
  const known = parts.endpoints().find(({ endpoint }) => endpoint === url)
  return {
    endpoint: url,
    isHealthy: error === undefined,
    durationMs: performance.now() - startedAt,
    memberId: memberId ?? known?.memberId,
    isLearner: isLearner ?? known?.role === 'learner',
    error,
  }
}

async function probe(parts: HealthParts, url: string, options: CallOptions): Promise<Probe> {
  // What refuses connections now is not waited for: a probe has to be quick.
  const refusal = parts.endpoints().find(({ endpoint, state }) => endpoint === url && state === 'connecting')?.reason
  if (refusal !== undefined) return { error: notConnected(url, refusal) }
  const asVoter = await read(parts.transport, url, 'linearizable', options)
  if (!isEtcdError(asVoter.error, 'NOT_SUPPORTED_FOR_LEARNER')) return asVoter
  return { ...(await read(parts.transport, url, 'serializable', options)), isLearner: true }
}

async function read(
  transport: Transport,
  url: string,
  mode: 'linearizable' | 'serializable',
  options: CallOptions,
): Promise<Probe> {
  const kind = { repeatable: true, requiresFloor: true, route: pinnedTo(url), readPolicy: { mode } }
  try {
    const context = callContext(options, kind)
    const { header } = await transport.unary(methods.KV.Range, { key: probeKey, countOnly: true }, context)
    return { memberId: header?.memberId }
  } catch (error) {
    options.signal?.throwIfAborted()
    // The member asks the leader for the revision first, and for the caller's rights then.
    return isEtcdError(error, 'PERMISSION_DENIED') ? {} : { error }
  }
}

async function listAlarms(
  { transport }: HealthParts,
  options: CallOptions,
  ending: AbortSignal,
): Promise<ListedAlarms> {
  try {
    const answer = await withAnySignal([options.signal, ending], (signal) => {
      // It is a proposal: `requiresFloor` keeps a member without a leader from holding it for seconds.
      const context = callContext({ ...options, signal }, { repeatable: true, requiresFloor: true })
      return transport.unary(methods.Maintenance.Alarm, { action: 'GET' }, context)
    })
    return { alarms: alarmsOf(answer), error: undefined }
  } catch (error) {
    options.signal?.throwIfAborted()
    // Some releases show them to root alone: 3.5.28 and 3.6.9.
    return { alarms: [], error: isEtcdError(error, 'PERMISSION_DENIED') ? undefined : error }
  }
}
