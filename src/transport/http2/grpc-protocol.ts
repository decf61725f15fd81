import type { CallStatus } from '../channel.js'
import { errorCodes } from './http2-error.js'

/** The gRPC status codes that this client creates. */
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

/** The length of a message prefix: the compressed flag, and the message length in four bytes. */
export const messagePrefixBytes = 5

/** The prefix of an uncompressed message of this length. */
export function messagePrefix(length: number): Buffer {
  const prefix = Buffer.allocUnsafe(messagePrefixBytes)
  prefix[0] = 0
  prefix.writeUInt32BE(length, 1)
  return prefix
}

/** A `grpc-timeout` header, and the range of timeouts that it is used for. */
export interface TimeoutHeader {
  /** `undefined` for no timeout. */
  readonly text: string | undefined
  /** The timeouts are longer than this, and at most `maxMs`. */
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
 * The header for a timeout, rounded up to two digits, so that calls with the same timeout share one header, and the deadline of
 * this side passes first.
 */
export function timeoutHeader(waitMs: number): TimeoutHeader {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, waitMs))) - 1)
  const maxMs = Math.max(1, Math.ceil(waitMs / step) * step)
  const fitting = timeoutUnits.find(({ ms }) => maxMs / ms <= maxTimeoutValue)
  if (fitting === undefined)
    return { text: undefined, overMs: maxTimeoutValue * 3_600_000, maxMs: Number.POSITIVE_INFINITY }
  return { text: `${Math.ceil(maxMs / fitting.ms)}${fitting.unit}`, overMs: maxMs - step, maxMs }
}

/** Decodes `%xx` in a `grpc-message`. A `%` that is not followed by two hexadecimal digits stays. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString())
}

/** The gRPC status of a response without one, mapped from the HTTP status. */
export function statusOfHttp(httpStatus: number | undefined): CallStatus {
  return { code: codeOfHttp(httpStatus), details: `Received HTTP status code ${httpStatus} and no gRPC status` }
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
