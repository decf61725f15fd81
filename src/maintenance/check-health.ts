import { withAnySignal } from '../core/abort.js'
import { isEtcdError } from '../core/errors.js'
import type { KvService } from '../kv/kv-service.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import { type EndpointDirectory, pinnedTo } from '../transport/connection/endpoint-directory.js'
import type { EndpointStatus } from '../transport/connection/endpoint-status.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import { alarmsOf } from './alarms.js'
import type { Health, MemberHealth } from './health.js'
import { type ListedAlarms, notConnected, problemsOf } from './health-problems.js'

/** Dependencies of a health check. */
export interface HealthParts {
  readonly transport: Transport
  readonly kv: KvService
  readonly directory: EndpointDirectory
  /** The known state of the endpoints, without a request. */
  readonly endpoints: () => readonly EndpointStatus[]
}

const defaultTimeoutMs = 3000
/** The key that `etcdctl endpoint health` reads; it need not exist. */
const probeKey = Buffer.from('health')

/** Probes every member and lists the alarms, concurrently. */
export async function checkHealth(parts: HealthParts, options: CallOptions = {}): Promise<Health> {
  checkCall('health()', options)
  const { signal, timeoutMs = defaultTimeoutMs } = options
  const bounds = { signal, timeoutMs }
  const urls = await parts.directory.urls(bounds)
  const nobodyServes = new AbortController()
  const [members, listed] = await Promise.all([
    Promise.all(urls.map((url) => memberHealth(parts, url, bounds))).then((asked) => {
      // Without a serving member the alarms cannot be listed either.
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

/** The outcome of probing a member: an `error`, or its identity. */
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
  // A probe must be fast: do not wait for a member that is refusing connections.
  const refusal = parts.endpoints().find(({ endpoint, state }) => endpoint === url && state === 'connecting')?.reason
  if (refusal !== undefined) return { error: notConnected(url, refusal) }
  const asVoter = await read(parts.kv, url, 'linearizable', options)
  if (!isEtcdError(asVoter.error, 'NOT_SUPPORTED_FOR_LEARNER')) return asVoter
  return { ...(await read(parts.kv, url, 'serializable', options)), isLearner: true }
}

async function read(
  kv: KvService,
  url: string,
  mode: 'linearizable' | 'serializable',
  options: CallOptions,
): Promise<Probe> {
  const kind = { repeatable: true, requiresFloor: true, route: pinnedTo(url), readPolicy: { mode } }
  try {
    const context = callContext(options, kind)
    const { header } = await kv.range({ key: probeKey, countOnly: true }, context)
    return { memberId: header?.memberId }
  } catch (error) {
    options.signal?.throwIfAborted()
    // The member obtains the revision from the leader before it checks permissions, so this error proves a quorum.
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
      // A raft proposal: `requiresFloor` prevents a member without a leader from delaying it for seconds.
      const context = callContext({ ...options, signal }, { repeatable: true, requiresFloor: true })
      return transport.unary(methods.Maintenance.Alarm, { action: 'GET' }, context)
    })
    return { alarms: alarmsOf(answer), error: undefined }
  } catch (error) {
    options.signal?.throwIfAborted()
    // etcd 3.5.28 and 3.6.9 show alarms only to root.
    return { alarms: [], error: isEtcdError(error, 'PERMISSION_DENIED') ? undefined : error }
  }
}
