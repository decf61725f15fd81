import type { CallStatus } from '../channel.js'
import { statusCodes, statusOfHttp } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'
import type { ResponseHeaders } from './response-headers.js'

/** What follows from a block of response headers. */
export type HeadersVerdict =
  | { readonly kind: 'go on' }
  /** The response is complete. */
  | { readonly kind: 'end'; readonly status: CallStatus }
  /** The response is rejected, and the stream reset with `resetCode`. */
  | { readonly kind: 'refuse'; readonly status: CallStatus; readonly resetCode: number }

const goOn: HeadersVerdict = { kind: 'go on' }
const ended = new WeakMap<CallStatus, HeadersVerdict>()

/** Checks the order of one response's header blocks: informational ones (1xx), the initial headers, and the trailers. */
export class ResponseState {
  #httpStatus: number | undefined

  /** Whether the initial headers have arrived, so that data may follow. */
  get hasHeaders(): boolean {
    return this.#httpStatus !== undefined
  }

  /** Processes the next block. */
  next(head: ResponseHeaders, endsStream: boolean): HeadersVerdict {
    if (head.malformed !== undefined) return malformed(head.malformed)
    if (this.#httpStatus !== undefined) return this.#trailers(head, endsStream)
    const { httpStatus } = head
    if (httpStatus === undefined) return malformed('no :status')
    if (httpStatus < 200) return endsStream ? malformed(`:status ${httpStatus} at the end`) : goOn
    this.#httpStatus = httpStatus
    if (endsStream) return endOf(head.status ?? statusOfHttp(httpStatus))
    return isGrpc(head) ? goOn : refused(statusOfPage(httpStatus, head.contentType), errorCodes.CANCEL)
  }

  /** The status of a response that ended without trailers. */
  statusWithoutTrailers(): CallStatus {
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200) return statusOfHttp(this.#httpStatus)
    return { code: statusCodes.internal, details: 'Received RST_STREAM with code 0 (Call ended without gRPC status)' }
  }

  #trailers(head: ResponseHeaders, endsStream: boolean): HeadersVerdict {
    if (head.httpStatus !== undefined) return malformed(':status in the trailers')
    if (!endsStream) return malformed('a header block between the initial headers and the trailers')
    return head.status === undefined ? { kind: 'end', status: statusOfHttp(this.#httpStatus) } : endOf(head.status)
  }
}

/** An HTML page of a proxy is not a gRPC response. With a gRPC content type, the status is in the trailers, whatever HTTP status. */
function isGrpc({ httpStatus, contentType }: ResponseHeaders): boolean {
  if (contentType === undefined) return httpStatus === 200
  return contentType.startsWith('application/grpc')
}

function statusOfPage(httpStatus: number, contentType: string | undefined): CallStatus {
  if (httpStatus !== 200) return statusOfHttp(httpStatus)
  return { code: statusCodes.internal, details: `Received content type ${contentType} and no gRPC status` }
}

/** Most responses end with the same status, so that its verdict is created once. */
function endOf(status: CallStatus): HeadersVerdict {
  const known = ended.get(status)
  if (known !== undefined) return known
  const verdict: HeadersVerdict = { kind: 'end', status }
  if (status.code === statusCodes.ok) ended.set(status, verdict)
  return verdict
}

function malformed(what: string): HeadersVerdict {
  const details = `HTTP/2 PROTOCOL_ERROR: the response headers have ${what}`
  return refused({ code: statusCodes.internal, details }, errorCodes.PROTOCOL_ERROR)
}

function refused(status: CallStatus, resetCode: number): HeadersVerdict {
  return { kind: 'refuse', status, resetCode }
}
