import { EtcdError, type EtcdErrorInit, isEtcdError } from '../../core/errors.js'
import type { StatusResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import { isTransportCode } from '../grpc-status.js'
import type { CallMetadata } from '../transport.js'

/** What a probe needs from the connection that it is sent on. */
export interface ProbeCaller {
  /** Makes one call with the deadline of a probe. */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: CallMetadata,
    signal?: AbortSignal,
  ): Promise<Response>
  /** How long a member that has just responded may take for a call with the token until the token counts as stalled. */
  readonly stallTimeoutMs: number
  /** Whether a member with this status belongs to the client's cluster. Others get no token. */
  isOfCluster(status: StatusResponse): boolean
  /** The member responds, but not to calls with this token. */
  tokenStalled(token: string): void
}

/**
 * Requests a member's status: without the token first, so that a bad token cannot hide whether the member is alive and, up to
 * etcd 3.5.27, which answers this without authentication, what cluster it belongs to. Then with the token, which may be
 * refused, so that calls get a new one, or stall: a simple token names a raft index, and a member does not answer a call with it
 * before it has applied that index. If the token comes from another cluster, or from before a restore, that is never.
 */
export async function probeStatus(host: ProbeCaller, metadata: CallMetadata): Promise<StatusResponse> {
  const { token, ...bare } = metadata
  const asked = host.call(methods.Maintenance.Status, {}, bare)
  if (token === undefined) return asked
  const status = await unlessRefused(asked)
  if (status === undefined)
    return callOrStall(host, token, (signal) => host.call(methods.Maintenance.Status, {}, metadata, signal))
  if (namesIndex(token) && host.isOfCluster(status))
    await unlessRefused(callOrStall(host, token, (signal) => tryToken(host, metadata, signal)))
  return status
}

/** A cheap read: whether it is allowed or denied, the member has checked the token. */
function tryToken(host: ProbeCaller, metadata: CallMetadata, signal: AbortSignal): Promise<unknown> {
  const request = { key: Buffer.from([0]), countOnly: true, serializable: true }
  return host.call(methods.KV.Range, request, metadata, signal)
}

/** The result of the call. Where it stalls, rejects with the error of a stalled token, which shows that the member is alive. */
async function callOrStall<T>(host: ProbeCaller, token: string, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const giveUp = new AbortController()
  const timer = setTimeout(() => giveUp.abort(stalledTokenError()), host.stallTimeoutMs)
  timer.unref()
  try {
    return await call(giveUp.signal)
  } catch (error) {
    if (error === giveUp.signal.reason) host.tokenStalled(token)
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** The response; `undefined` where the member refuses the call, which shows that it is alive. */
async function unlessRefused<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isRefusal(error)) return undefined
    throw error
  }
}

/** Whether the member itself refused a call, for example for lack of a token or a permission: then it is alive. */
export function isRefusal(error: unknown): boolean {
  return isEtcdError(error) && !isTransportCode(error.code)
}

/** `<random letters>.<index>`; a JWT has three parts. */
function namesIndex(token: string): boolean {
  return /^[^.]+\.\d+$/.test(token)
}

/** The error of calls with a stalled token. They are retried with a new one. */
export function stalledTokenError(init: Partial<EtcdErrorInit> = {}): EtcdError {
  return new EtcdError(
    'the member does not answer calls with this token: it comes from another cluster or from before a restore',
    {
      code: 'INVALID_AUTH_TOKEN',
      effect: 'none',
      retryable: true,
      ...init,
    },
  )
}
