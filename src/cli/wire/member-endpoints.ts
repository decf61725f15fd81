import type { Method } from '../../protobuf/methods.js'
import { methods } from '../../protobuf/methods.js'
import type { Context } from '../command.js'
import { unreachableReason } from '../unreachable.js'
import { unary } from './calls.js'

/** The flag of commands that make a call to each endpoint. */
export const clusterFlag = {
  cluster: { type: 'boolean', help: 'every member of the list of members instead of --endpoints' },
} as const

/** What a member answered. */
export type Answer<Response> =
  | { readonly endpoint: string; readonly response: Response; readonly tookMs: number }
  | { readonly endpoint: string; readonly error: string; readonly tookMs: number }

/** Makes calls to one endpoint. */
export type EndpointCall = <Request, Response>(method: Method<Request, Response>, request: Request) => Promise<Response>

/** Time limit of a call to one endpoint, as in etcdctl. */
const defaultTimeoutMs = 5000

/** The endpoints to call: those given, or those of all members. */
export async function endpointsOf(
  context: Context,
  { cluster }: { readonly cluster?: boolean | undefined },
): Promise<readonly string[]> {
  const etcd = context.client()
  const { signal } = context
  if (cluster === true) {
    const { members } = await unary(etcd, methods.Cluster.MemberList, { linearizable: true }, { signal })
    return members.flatMap(({ clientURLs }) => clientURLs)
  }
  // With DNS discovery, the endpoints are known after connecting.
  if (context.clientOptions.discovery !== undefined) await etcd.connect({ signal })
  return etcd.endpoints().map(({ endpoint }) => endpoint)
}

/**
 * Makes calls to one endpoint with a separate client, so that errors and times concern this endpoint only. A failure is a
 * value; rejects only with the reason of the signal.
 */
export async function callEndpoint<Response>(
  { client, clientOptions, signal }: Context,
  endpoint: string,
  calls: (call: EndpointCall) => Promise<Response>,
  timeoutMs = clientOptions.timeoutMs ?? defaultTimeoutMs,
): Promise<Answer<Response>> {
  const etcd = client({ endpoints: endpoint, discovery: undefined, timeoutMs })
  const startedAt = performance.now()
  const tookMs = (): number => performance.now() - startedAt
  try {
    const response = await calls((method, request) => unary(etcd, method, request, { signal, endpoint }))
    return { endpoint, response, tookMs: tookMs() }
  } catch (error) {
    signal.throwIfAborted()
    return { endpoint, error: unreachableReason(error), tookMs: tookMs() }
  }
}

/** Makes the same call to several endpoints, concurrently. */
export function callEach<Request, Response>(
  context: Context,
  endpoints: readonly string[],
  method: Method<Request, Response>,
  request: Request,
): Promise<readonly Answer<Response>[]> {
  return Promise.all(endpoints.map((endpoint) => callEndpoint(context, endpoint, (call) => call(method, request))))
}
