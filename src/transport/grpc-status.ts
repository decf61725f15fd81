import { CompactedError, type Effect, type ErrorCode, EtcdError, type TransportErrorCode } from '../core/errors.js'
import { serverErrors } from './server-errors.js'

/** What this side knows about a call when its status arrives. */
export interface StatusContext {
  readonly method: string
  readonly endpoint: string
  /** Whether the call may have reached the member. */
  readonly sent: boolean
  /** The call's deadline and the time now, on the clock of `performance.now()`. */
  readonly deadlineAt: number
  readonly now: number
}

/** The gRPC status codes that are treated differently, under the names that Go writes into messages. */
const grpc = {
  Canceled: 1,
  Unknown: 2,
  DeadlineExceeded: 4,
  ResourceExhausted: 8,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
} as const

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

/** Whether an error comes from the transport, so that it does not prove that the member is alive. */
export function isTransportCode(code: ErrorCode): boolean {
  return transportCodes.has(code)
}

/** How proxies answer a call that they have no member for: by an HTTP status, and Envoy by a gRPC status with its own text. */
const proxyTexts = /^(Received HTTP status code \d|no healthy upstream|upstream connect error)/

/** Whether a proxy in front of the member answered the call, so that the connection is alive and the member is not reachable. */
export function isProxyAnswer(error: unknown): error is EtcdError {
  return error instanceof EtcdError && isTransportCode(error.code) && proxyTexts.test(error.rawMessage)
}

/**
 * The error for a failed call's status. A message of etcd determines the error; otherwise what this side knows about the call;
 * the gRPC code is used last, since one code stands for several errors, and one error arrives with several codes.
 */
export function toEtcdError(
  status: { readonly code: number; readonly details: string },
  context: StatusContext,
): EtcdError {
  const { text, code: innerCode } = unwrap(status.details)
  const place = { method: context.method, endpoint: context.endpoint, grpcCode: status.code }
  const known = serverErrors.get(text)
  if (known !== undefined) {
    const effect = context.sent ? known.effect : 'none'
    const init = { ...place, code: known.code, effect, retryable: known.retryable }
    return known.code === 'COMPACTED' ? new CompactedError(text, init) : new EtcdError(text, init)
  }
  // A proxy that relays an error as Unknown leaves the original code in the message.
  const verdict = byCode(status.code === grpc.Unknown ? (innerCode ?? status.code) : status.code, text, context)
  return new EtcdError(verdict.code === 'NOT_CONNECTED' ? connectReason(text) : text, { ...place, ...verdict })
}

interface Verdict {
  readonly code: TransportErrorCode
  readonly effect: Effect
  readonly retryable: boolean
}

const notConnected: Verdict = { code: 'NOT_CONNECTED', effect: 'none', retryable: true }
const unimplemented: Verdict = { code: 'UNIMPLEMENTED', effect: 'none', retryable: false }

function byCode(code: number, text: string, context: StatusContext): Verdict {
  switch (code) {
    case grpc.DeadlineExceeded:
      return deadlineExceeded(text, context)
    case grpc.Canceled:
      return canceled(text, context)
    case grpc.ResourceExhausted:
      return tooLarge(text, context) ?? lost(context)
    case grpc.Unimplemented:
      return unimplemented
    case grpc.Internal:
      if (neverSent(text)) return notConnected
      return /RST_STREAM|protocol error/i.test(text) ? lost(context) : unknown(context)
    case grpc.Unavailable:
      return neverSent(text) ? notConnected : lost(context)
    default:
      // etcd before 3.5 sends the errors of Go contexts as Unknown.
      if (text === 'context deadline exceeded') return deadlineExceeded(text, context)
      return text === 'context canceled' ? canceled(text, context) : unknown(context)
  }
}

function effectOf({ sent }: StatusContext): Effect {
  return sent ? 'unknown' : 'none'
}

function lost(context: StatusContext): Verdict {
  return context.sent ? { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true } : notConnected
}

function unknown(context: StatusContext): Verdict {
  return { code: 'UNKNOWN', effect: effectOf(context), retryable: false }
}

function deadlineExceeded(text: string, context: StatusContext): Verdict {
  return { code: 'DEADLINE_EXCEEDED', effect: neverPicked.test(text) ? 'none' : effectOf(context), retryable: false }
}

/** How grpc-js ends the message of a deadline that passed before the call was assigned to a connection. */
const neverPicked = /waiting for (LB pick|name resolution|metadata filters)$/i

/** A member whose clock reaches the deadline first resets the stream, which looks like a cancellation. */
function canceled(text: string, context: StatusContext): Verdict {
  return context.now >= context.deadlineAt - clockSlackMs ? deadlineExceeded(text, context) : lost(context)
}

/** The member's timer for the deadline starts later than this side's. */
const clockSlackMs = 20

/** How the messages of grpc-js begin for calls that the member has not processed. */
const neverSentTexts = [
  'No connection established',
  'Name resolution failed',
  'Channel closed before call started',
  'Stream refused by server',
  'Failed to start HTTP/2 stream',
]

function neverSent(text: string): boolean {
  return neverSentTexts.some((start) => text.startsWith(start))
}

/** Requests that this side or the member rejected. Otherwise the response was too large, after the call was executed. */
const requestTooLarge = /^(grpc: received message|Attempted to send message)/

function tooLarge(text: string, context: StatusContext): Verdict | undefined {
  if (!text.includes('larger than')) return undefined
  const effect = requestTooLarge.test(text) ? 'none' : effectOf(context)
  return { code: 'MESSAGE_TOO_LARGE', effect, retryable: false }
}

/** Go renders a nested status as `rpc error: code = … desc = …`, sometimes repeatedly. */
function unwrap(details: string): { readonly text: string; readonly code: number | undefined } {
  let text = details
  let code: number | undefined
  for (;;) {
    const [, name, inner] = /^rpc error: code = (\w+) desc = (.*)$/s.exec(text) ?? []
    if (name === undefined || inner === undefined) return { text, code }
    code = isCodeName(name) ? grpc[name] : undefined
    text = inner
  }
}

function isCodeName(name: string): name is keyof typeof grpc {
  return Object.hasOwn(grpc, name)
}

/** Extracts `connect ECONNREFUSED 127.0.0.1:2379` from the message of grpc-js. */
export function connectReason(text: string): string {
  const [, error = '', note = ''] = /Last error: (?:Error: )?(.*?)\.?(?: Resolution note: (.*))?$/s.exec(text) ?? []
  const reasons = [plainReason(error), note.trim()].filter((part) => part !== '')
  return reasons.length === 0 ? text : reasons.join('; ')
}

/** A system error without the timestamp that grpc-js adds, or an OpenSSL error without its source location. */
export function plainReason(error: string): string {
  const reason = error.replace(/\s*\([\d-]+T[\d:.]+Z\)$/, '').trim()
  if (reason === 'Failed to connect')
    return 'closed during the HTTP/2 handshake: the server may require TLS, may have revoked the client certificate, or is not etcd'
  if (/before secure TLS connection|wrong version number|packet length too long/.test(reason)) {
    return 'TLS handshake failed: the server may speak plain text, use http:// instead of https://'
  }
  const [, openssl] = /:error:\w+:SSL routines:[^:]*:([^:]+):/.exec(reason) ?? []
  return withTlsAdvice(openssl === undefined ? reason : `TLS: ${openssl}`)
}

const tlsAdvice: readonly (readonly [RegExp, string])[] = [
  [/unable to (?:verify|get)|self.signed/, 'set `tls.ca` to the certificate authority of the members'],
  [/altnames/, 'set `tls.servername` to a host name that the certificate is valid for'],
  [
    /certificate required|bad certificate/,
    'the members require a client certificate that they trust: set `tls.cert` and `tls.key`',
  ],
]

function withTlsAdvice(reason: string): string {
  const [, advice] = tlsAdvice.find(([pattern]) => pattern.test(reason)) ?? []
  return advice === undefined ? reason : `${reason}: ${advice}`
}
