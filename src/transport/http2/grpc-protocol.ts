import type { CallStatus } from '../channel.js'
import { errorCodes } from './http2-error.js'

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
export const messagePrefixBytes = 5

/** What stands in front of a message of this length on the wire; it is never compressed. */
export function messagePrefix(length: number): Buffer {
  const prefix = Buffer.allocUnsafe(messagePrefixBytes)
  prefix[0] = 0
  prefix.writeUInt32BE(length, 1)
  return prefix
}

/** A `grpc-timeout` header, and the times to wait that it stands for. */
export interface TimeoutHeader {
  /** `undefined` for no bound. */
  readonly text: string | undefined
  /** The times are longer than this, and at most `maxMs`. */
  readonly overMs: number
  readonly maxMs: number
}

const timeoutUnits = [
  { unit: 'm', ms: 1 },
  { unit: 'S', ms: 1000 },
  { unit: 'M', ms: 60_000 },
  { unit: 'H', ms: 3_600_000 },
] as const
const maxTimeoutValue = 99_999_999

/**
 * The header for a time to wait, rounded up to two digits: so calls with one timeout share one header, and the caller's own
 * clock always comes first.
 */
export function timeoutHeader(waitMs: number): TimeoutHeader {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, waitMs))) - 1)
  const maxMs = Math.max(1, Math.ceil(waitMs / step) * step)
  const fitting = timeoutUnits.find(({ ms }) => maxMs / ms <= maxTimeoutValue)
  if (fitting === undefined)
    return { text: undefined, overMs: maxTimeoutValue * 3_600_000, maxMs: Number.POSITIVE_INFINITY }
  return { text: `${Math.ceil(maxMs / fitting.ms)}${fitting.unit}`, overMs: maxMs - step, maxMs }
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
    case errorCodes.REFUSED_STREAM:
      return { code: statusCodes.unavailable, details: 'Stream refused by server', sent: false }
    case errorCodes.CANCEL:
      return { code: statusCodes.cancelled, details: 'Call cancelled' }
    case errorCodes.ENHANCE_YOUR_CALM:
      return { code: statusCodes.resourceExhausted, details: 'Bandwidth exhausted or memory limit exceeded' }
    case errorCodes.INADEQUATE_SECURITY:
      return { code: statusCodes.permissionDenied, details: 'Protocol not secure enough' }
    default:
      return { code: statusCodes.internal, details: `Received RST_STREAM with code ${rstCode}` }
  }
}
