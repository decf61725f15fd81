import { EtcdError, type EtcdErrorInit, isEtcdError } from '../../core/errors.js'
import type { StatusResponse } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import { isTransportCode } from '../grpc-status.js'
import type { CallMetadata } from '../transport.js'

/** What a probe needs from the connection that it is made on. */
export interface ProbeCaller {
  /** Makes one call, within the time of a probe. */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: CallMetadata,
    signal?: AbortSignal,
  ): Promise<Response>
  /** How long the member may take to answer a call that it takes up, when it has just answered another one. */
  readonly stallTimeoutMs: number
  /** The member answers, but not the calls with this token. */
  tokenStalled(token: string): void
}

/**
 * Asks a member who it is. Without the token at first, so that no token can hide whether it is alive and, where etcd tells
 * that to everybody (until 3.5.27), whose member it is. Then with the token, of which there are two kinds of trouble: a
 * refusal, after which calls get a new one, and silence. A simple token names a raft index, and a member that has not come
 * so far holds each call with it back, without a word, until it has: for ever, if the token is of another cluster, or of
 * the time before this one was restored.
 */
export async function probeStatus(host: ProbeCaller, metadata: CallMetadata): Promise<StatusResponse> {
  const { token, ...bare } = metadata
  const asked = host.call(methods.Maintenance.Status, {}, bare)
  if (token === undefined) return asked
  const status = await unlessRefused(asked)
  if (status === undefined)
    return callOrStall(host, token, (signal) => host.call(methods.Maintenance.Status, {}, metadata, signal))
  if (namesIndex(token)) await unlessRefused(callOrStall(host, token, (signal) => tryToken(host, metadata, signal)))
  return status
}

/** A read that costs nothing and asks for no right that matters: whatever comes back, the token was looked at. */
function tryToken(host: ProbeCaller, metadata: CallMetadata, signal: AbortSignal): Promise<unknown> {
  const request = { key: Buffer.from([0]), countOnly: true, serializable: true }
  return host.call(methods.KV.Range, request, metadata, signal)
}

/** What the call comes to; if nothing comes of it, an error by which the member is known to be alive. */
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

/** The answer; `undefined` where the member refuses to give one, by which it is known to be alive. */
async function unlessRefused<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isRefusal(error)) return undefined
    throw error
  }
}

/** Whatever a member refuses by name (no token yet, no right to ask), it is alive. */
export function isRefusal(error: unknown): boolean {
  return isEtcdError(error) && !isTransportCode(error.code)
}

/** `<random letters>.<index>`; a JWT has three parts. */
function namesIndex(token: string): boolean {
  return /^[^.]+\.\d+$/.test(token)
}

/** The error of calls whose token a member does not get ready to look at. A new one helps. */
export function stalledTokenError(init: Partial<EtcdErrorInit> = {}): EtcdError {
  return new EtcdError('members hold calls with this token back: it is of another cluster, or of a later time', {
    code: 'INVALID_AUTH_TOKEN',
    effect: 'none',
    retryable: true,
    ...init,
  })
}
