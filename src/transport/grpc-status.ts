import { CompactedError, type Effect, type ErrorCode, EtcdError, type TransportErrorCode } from '../core/errors.js'
import { serverErrors } from './server-errors.js'

/** What is known about a call when its status arrives. */
export interface StatusContext {
  readonly method: string
  readonly endpoint: string
  /** Whether the request may have left this process. */
  readonly sent: boolean
  /** The call's deadline and the time now, on the clock of `performance.now()`. */
  readonly deadlineAt: number
  readonly now: number
}

/** gRPC's status codes, as far as their meaning here differs. */
const grpc = {
  cancelled: 1,
  deadlineExceeded: 4,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
}

const transportCodes: ReadonlySet<ErrorCode> = new Set<TransportErrorCode>([
  'NOT_CONNECTED',
  'CONNECTION_LOST',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'MESSAGE_TOO_LARGE',
  'PROTOCOL_ERROR',
  'LEADER_LOST',
  'UNKNOWN',
])

/** Whether an error was made on the way to the member, so that it does not prove that the member is alive. */
export function isTransportCode(code: ErrorCode): boolean {
  return transportCodes.has(code)
}

/**
 * The error that a failed call's status stands for. The text decides where it is one of etcd's; else what this side knows
 * of the call; the gRPC code comes last, since one code stands for several things and one thing arrives under several.
 */
export function toEtcdError(
  status: { readonly code: number; readonly details: string },
  context: StatusContext,
): EtcdError {
  const text = withoutPrefix(status.details)
  const place = { method: context.method, endpoint: context.endpoint, grpcCode: status.code }
  const known = serverErrors.get(text)
  if (known !== undefined) {
    const init = { ...place, ...known, effect: context.sent ? known.effect : 'none' } as const
    return known.code === 'COMPACTED' ? new CompactedError(text, init) : new EtcdError(text, init)
  }
  const { code, effect, retryable } = byCode(status.code, text, context)
  return new EtcdError(code === 'NOT_CONNECTED' ? connectReason(text) : text, { ...place, code, effect, retryable })
}

interface Verdict {
  readonly code: TransportErrorCode
  readonly effect: Effect
  readonly retryable: boolean
}

function byCode(code: number, text: string, context: StatusContext): Verdict {
  const effect = context.sent ? 'unknown' : 'none'
  switch (code) {
    case grpc.deadlineExceeded:
      return { code: 'DEADLINE_EXCEEDED', effect, retryable: false }
    case grpc.cancelled:
      // A member that sees the deadline pass first resets the stream, which looks like a cancellation.
      if (context.now >= context.deadlineAt - clockSlackMs)
        return { code: 'DEADLINE_EXCEEDED', effect, retryable: false }
      return { code: 'CONNECTION_LOST', effect, retryable: true }
    case grpc.resourceExhausted:
      return tooLarge(text) ?? { code: 'CONNECTION_LOST', effect, retryable: true }
    case grpc.unimplemented:
      return { code: 'UNIMPLEMENTED', effect: 'none', retryable: false }
    case grpc.internal:
      return { code: 'CONNECTION_LOST', effect, retryable: true }
    case grpc.unavailable:
      if (!context.sent || neverSent(text)) return { code: 'NOT_CONNECTED', effect: 'none', retryable: true }
      return { code: 'CONNECTION_LOST', effect, retryable: true }
    default:
      return { code: 'UNKNOWN', effect, retryable: false }
  }
}

/** The member's clock for the deadline and this one started a little apart. */
const clockSlackMs = 20

/** Texts of grpc-js for calls that never reached the member. */
function neverSent(text: string): boolean {
  return (
    text.startsWith('No connection established') ||
    text.startsWith('Name resolution failed') ||
    text.startsWith('Channel closed before call started') ||
    text.startsWith('Stream refused by server')
  )
}

function tooLarge(text: string): Verdict | undefined {
  // `grpc:` is the member refusing a request; without it, grpc-js refuses an answer, which says nothing about the effect.
  if (text.startsWith('grpc: received message larger than max')) {
    return { code: 'MESSAGE_TOO_LARGE', effect: 'none', retryable: false }
  }
  if (!text.startsWith('Received message larger than max')) return undefined
  return { code: 'MESSAGE_TOO_LARGE', effect: 'unknown', retryable: false }
}

/** Go renders a status within a status as `rpc error: code = … desc = …`, sometimes more than once. */
function withoutPrefix(details: string): string {
  let text = details
  for (;;) {
    const inner = /^rpc error: code = \w+ desc = (.*)$/s.exec(text)?.[1]
    if (inner === undefined) return text
    text = inner
  }
}

/** `connect ECONNREFUSED 127.0.0.1:2379` out of the frame that grpc-js puts around it. */
function connectReason(text: string): string {
  // grpc-js has no more than this to say when the peer hangs up on the first bytes.
  if (/Last error: Failed to connect \(/.test(text))
    return 'the peer closed the connection at once: TLS on one side only?'
  const reason = /Last error: (?:Error: )?(.*?)\.?(?: Resolution note: (.*))?$/s.exec(text)
  return [reason?.[1], reason?.[2]].filter((part) => part !== undefined && part !== '').join('; ') || text
}
