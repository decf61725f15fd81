import type { CallStatus } from '../channel.js'
import { percentDecoded, statusCodes } from './grpc-protocol.js'
import type { HeaderField } from './hpack/header-field.js'

/** What a block of headers of an answer says, its first ones or its trailers. */
export interface ResponseHeaders {
  /** `undefined` for trailers. */
  readonly httpStatus: number | undefined
  readonly contentType: string | undefined
  /** The status of gRPC, which comes in the trailers, or in the only headers there are. */
  readonly status: CallStatus | undefined
  /** Why HTTP/2 does not allow these headers. */
  readonly malformed: string | undefined
}

/** One status for most answers: nobody changes it. */
const okStatus: CallStatus = Object.freeze({ code: statusCodes.ok, details: '' })

/** Headers that speak of a connection of HTTP/1.1. */
const connectionHeaders = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade'])

/** Reads the fields that matter, and checks all of them. */
export function parseResponseHeaders(fields: readonly HeaderField[], isTooLarge: boolean): ResponseHeaders {
  const values = new Map(fields)
  const httpStatus = values.get(':status')
  return {
    httpStatus: httpStatus === undefined ? undefined : Number(httpStatus),
    contentType: values.get('content-type'),
    status: grpcStatus(values.get('grpc-status'), values.get('grpc-message')),
    malformed: isTooLarge ? 'larger than this client takes' : fault(fields),
  }
}

/** A head without a status of HTTP is only allowed after one that has one, which the caller knows. */
function fault(fields: readonly HeaderField[]): string | undefined {
  let isBeforeRegular = true
  for (const [index, [name, value]] of fields.entries()) {
    if (!name.startsWith(':')) isBeforeRegular = false
    else if (name !== ':status') return `the pseudo-header ${name}`
    else if (!isBeforeRegular || index > 0) return ':status in a wrong place'
    else if (!/^[1-9]\d\d$/.test(value)) return 'no number as :status'
    if (!/^:?[!-9;-@[-~]+$/.test(name)) return 'a name with forbidden letters'
    if (connectionHeaders.has(name)) return `the header ${name}`
    if (value.includes('\0') || /[\r\n]/.test(value)) return `a control character in ${name}`
  }
  return undefined
}

function grpcStatus(code: string | undefined, message: string | undefined): CallStatus | undefined {
  if (code === undefined) return undefined
  const number = /^\d+$/.test(code) ? Number(code) : statusCodes.unknown
  if (number === statusCodes.ok && !message) return okStatus
  return { code: number, details: percentDecoded(message ?? '') }
}
