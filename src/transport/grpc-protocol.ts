import { constants, type IncomingHttpHeaders } from 'node:http2'
import type { CallStatus } from './unary-lane.js'

/** gRPC's status codes, those that this side makes statuses of. */
export const statusCodes = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** A flag that tells whether the message is compressed, and its length in four bytes. */
const prefixBytes = 5
/** Chunks below this are copied: they are views of all that was read with them, which a small value would keep in memory. */
const copiedBytes = 4096

/** A message as it goes over the wire, with its prefix; never compressed. */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length)
  framed[0] = 0
  framed[1] = message.length >>> 24
  framed[2] = message.length >>> 16
  framed[3] = message.length >>> 8
  framed[4] = message.length
  message.copy(framed, prefixBytes)
  return framed
}

/** How much of its message is to follow the first chunk of an answer; below zero where it has more than one message. */
export function bytesToFollow(first: Buffer): number {
  if (first.length < prefixBytes) return Number.POSITIVE_INFINITY
  return prefixBytes + first.readUInt32BE(1) - first.length
}

/** The one message in the chunks of an answer, or what is wrong with it. */
export function unframe(first: Buffer, rest: readonly Buffer[] | undefined): Buffer | string {
  const framed = rest === undefined ? first : Buffer.concat([first, ...rest])
  if (framed.length < prefixBytes) return 'the answer ended within a message'
  if (framed[0] !== 0) return 'the answer is compressed, which this client did not ask for'
  const messageBytes = framed.readUInt32BE(1)
  if (messageBytes > framed.length - prefixBytes) return 'the answer ended within a message'
  if (messageBytes < framed.length - prefixBytes) return 'the answer has more than one message'
  if (rest !== undefined || messageBytes >= copiedBytes) return framed.subarray(prefixBytes)
  const message = Buffer.allocUnsafe(messageBytes)
  framed.copy(message, 0, prefixBytes)
  return message
}

/** A `grpc-timeout` header, and the times to wait that it stands for. */
export interface TimeoutHeader {
  /** `undefined` for no bound. */
  readonly text: string | undefined
  /** The times are longer than this, and at most `mostMs`. */
  readonly overMs: number
  readonly mostMs: number
}

const timeoutUnits = [
  { unit: 'm', ms: 1 },
  { unit: 'S', ms: 1000 },
  { unit: 'M', ms: 60_000 },
  { unit: 'H', ms: 3_600_000 },
] as const
const mostTimeoutDigits = 99_999_999

/**
 * The header for a time to wait, rounded up to two digits: so calls with one timeout share one header, and the caller's own
 * clock always comes first.
 */
export function timeoutHeader(waitMs: number): TimeoutHeader {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, waitMs))) - 1)
  const mostMs = Math.max(1, Math.ceil(waitMs / step) * step)
  const fitting = timeoutUnits.find(({ ms }) => mostMs / ms <= mostTimeoutDigits)
  if (fitting === undefined)
    return { text: undefined, overMs: mostTimeoutDigits * 3_600_000, mostMs: Number.POSITIVE_INFINITY }
  return { text: `${Math.ceil(mostMs / fitting.ms)}${fitting.unit}`, overMs: mostMs - step, mostMs }
}

/** The status that headers hold, the first ones of an answer without a body or the trailers; `undefined` for none. */
export function statusOf(headers: IncomingHttpHeaders): CallStatus | undefined {
  const code = headers['grpc-status']
  if (code === undefined) return undefined
  const message = headers['grpc-message']
  const number = Number(code)
  return {
    code: Number.isInteger(number) ? number : statusCodes.unknown,
    details: typeof message === 'string' ? percentDecoded(message) : '',
  }
}

/** Bytes that are no visible ASCII letters come as `%xx`; anything else, a `%` among it, stands for itself. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString())
}

/** The status of an answer that has none, by what HTTP says of it, as gRPC maps that. */
export function statusOfHttp(httpStatus: number | undefined): CallStatus {
  return { code: codeOfHttp(httpStatus), details: `Received HTTP status code ${httpStatus}, and no gRPC status` }
}

function codeOfHttp(httpStatus: number | undefined): number {
  switch (httpStatus) {
    case 400:
      return statusCodes.internal
    case 401:
      return statusCodes.unauthenticated
    case 403:
      return statusCodes.permissionDenied
    case 404:
      return statusCodes.unimplemented
    case 429:
    case 502:
    case 503:
    case 504:
      return statusCodes.unavailable
    default:
      return statusCodes.unknown
  }
}

/** The status of a call whose stream the member reset. */
export function statusOfReset(rstCode: number): CallStatus {
  switch (rstCode) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return { code: statusCodes.unavailable, details: 'Stream refused by server', sent: false }
    case constants.NGHTTP2_CANCEL:
      return { code: statusCodes.cancelled, details: 'Call cancelled' }
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return { code: statusCodes.resourceExhausted, details: 'Bandwidth exhausted or memory limit exceeded' }
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return { code: statusCodes.permissionDenied, details: 'Protocol not secure enough' }
    default:
      return { code: statusCodes.internal, details: `Received RST_STREAM with code ${rstCode}` }
  }
}
