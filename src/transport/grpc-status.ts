import { CompactedError, type Effect, type ErrorCode, EtcdError, type TransportErrorCode } from '../core/errors.js'
import { serverErrors } from './server-errors.js'

/** What is known about a call when its status arrives. */
export interface StatusContext {
  readonly method: string
  readonly endpoint: string
  /** Whether the member may have taken the call up. */
  readonly sent: boolean
  /** The call's deadline and the time now, on the clock of `performance.now()`. */
  readonly deadlineAt: number
  readonly now: number
}

/** gRPC's status codes, as far as their meaning here differs, under the names that Go writes into texts. */
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
  const { text, code: innerCode } = unwrap(status.details)
  const place = { method: context.method, endpoint: context.endpoint, grpcCode: status.code }
  const known = serverErrors.get(text)
  if (known !== undefined) {
    const effect = context.sent ? known.effect : 'none'
    const init = { ...place, code: known.code, effect, retryable: known.retryable }
    return known.code === 'COMPACTED' ? new CompactedError(text, init) : new EtcdError(text, init)
  }
  // A proxy that relays an error as Unknown leaves what it was in the text.
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
      // Releases before 3.5 send the errors of Go's contexts as Unknown.
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

/** How grpc-js ends the text of a deadline that passed before it gave the call to a connection. */
const neverPicked = /waiting for (LB pick|name resolution|metadata filters)$/i

/** A member that sees the deadline pass first resets the stream, which looks like a cancellation. */
function canceled(text: string, context: StatusContext): Verdict {
  return context.now >= context.deadlineAt - clockSlackMs ? deadlineExceeded(text, context) : lost(context)
}

/** The member's clock for the deadline and this one started a little apart. */
const clockSlackMs = 20

/** How the texts of grpc-js begin for calls that the member never took up. */
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

/** Requests that this side or the member refused. Else an answer was refused, after the call was made. */
const requestTooLarge = /^(grpc: received message|Attempted to send message)/

function tooLarge(text: string, context: StatusContext): Verdict | undefined {
  if (!text.includes('larger than')) return undefined
  const effect = requestTooLarge.test(text) ? 'none' : effectOf(context)
  return { code: 'MESSAGE_TOO_LARGE', effect, retryable: false }
}

/** Go renders a status within a status as `rpc error: code = … desc = …`, sometimes more than once. */
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

/** `connect ECONNREFUSED 127.0.0.1:2379` out of the frame that grpc-js puts around it. */
export function connectReason(text: string): string {
  const [, error = '', note = ''] = /Last error: (?:Error: )?(.*?)\.?(?: Resolution note: (.*))?$/s.exec(text) ?? []
  const reasons = [plainReason(error), note.trim()].filter((part) => part !== '')
  return reasons.length === 0 ? text : reasons.join('; ')
}

/** An error of the system without the time of day that grpc-js adds, and one of OpenSSL without its file and numbers. */
export function plainReason(error: string): string {
  const reason = error.replace(/\s*\([\d-]+T[\d:.]+Z\)$/, '').trim()
  if (reason === 'Failed to connect') return 'closed before HTTP/2 was spoken: it may want TLS, or be no etcd'
  if (/before secure TLS connection|wrong version number|packet length too long/.test(reason)) {
    return 'TLS was not understood: it may want http:// instead of https://'
  }
  const [, openssl] = /:error:\w+:SSL routines:[^:]*:([^:]+):/.exec(reason) ?? []
  return withTlsAdvice(openssl === undefined ? reason : `TLS: ${openssl}`)
}

const tlsAdvice: readonly (readonly [RegExp, string])[] = [
  [/unable to (?:verify|get)|self.signed/, 'the option `tls.ca` must be the authority of the members'],
  [/altnames/, 'the option `tls.servername` can name a host that it is for'],
  [
    /certificate required|bad certificate/,
    'the members want the options `tls.cert` and `tls.key`, of an authority they know',
  ],
]

function withTlsAdvice(reason: string): string {
  const [, advice] = tlsAdvice.find(([pattern]) => pattern.test(reason)) ?? []
  return advice === undefined ? reason : `${reason}: ${advice}`
}
