import type { CallStatus } from '../channel.js'
import { percentDecoded, statusCodes } from './grpc-protocol.js'
import type { HeaderField } from './hpack/header-field.js'

/** A header block of a response: informational or initial headers, or trailers. */
export interface ResponseHeaders {
  /** `undefined` for trailers. */
  readonly httpStatus: number | undefined
  readonly contentType: string | undefined
  /** The gRPC status, which is in the trailers, or in the headers of a trailers-only response. */
  readonly status: CallStatus | undefined
  /** Why the headers are malformed, if they are. */
  readonly malformed: string | undefined
}

/** The shared status of most responses. */
const okStatus: CallStatus = Object.freeze({ code: statusCodes.ok, details: '' })

/** Connection-specific headers of HTTP/1.1, which HTTP/2 forbids. */
const connectionHeaders = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade'])

/** Extracts the relevant fields, and validates all of them. */
export function parseResponseHeaders(fields: readonly HeaderField[], isTooLarge: boolean): ResponseHeaders {
  const values = new Map(fields)
  const httpStatus = values.get(':status')
  return {
    httpStatus: httpStatus === undefined ? undefined : Number(httpStatus),
    contentType: values.get('content-type'),
    status: grpcStatus(values.get('grpc-status'), values.get('grpc-message')),
    malformed: isTooLarge ? 'more bytes than this client accepts' : fault(fields),
  }
}

/** Whether headers without `:status` are allowed here is checked by `ResponseState`. */
function fault(fields: readonly HeaderField[]): string | undefined {
  let isBeforeRegular = true
  for (const [index, [name, value]] of fields.entries()) {
    if (!name.startsWith(':')) isBeforeRegular = false
    else if (name !== ':status') return `the pseudo-header ${name}`
    else if (!isBeforeRegular || index > 0) return ':status in the wrong place'
    else if (!/^[1-9]\d\d$/.test(value)) return 'an invalid :status'
    if (!/^:?[!-9;-@[-~]+$/.test(name)) return 'a name with forbidden characters'
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
