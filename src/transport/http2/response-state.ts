import type { CallStatus } from '../channel.js'
import { statusCodes, statusOfHttp } from './grpc-protocol.js'
import { errorCodes } from './http2-error.js'
import type { ResponseHeaders } from './response-headers.js'

/** What follows from the headers of an answer. */
export type HeadersVerdict =
  | { readonly kind: 'go on' }
  /** The answer is over. */
  | { readonly kind: 'end'; readonly status: CallStatus }
  /** Nothing of what follows is of use, which `resetCode` reports to the peer. */
  | { readonly kind: 'refuse'; readonly status: CallStatus; readonly resetCode: number }

const goOn: HeadersVerdict = { kind: 'go on' }
const ended = new WeakMap<CallStatus, HeadersVerdict>()

/** The order in which the headers of one answer may come: some for information only, the first ones, and the trailers. */
export class ResponseState {
  #httpStatus: number | undefined

  /** Whether data may come. */
  get hasHeaders(): boolean {
    return this.#httpStatus !== undefined
  }

  /** Takes headers in the order in which they come. */
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

  /** The status of an answer whose body ended without trailers. */
  statusWithoutTrailers(): CallStatus {
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200) return statusOfHttp(this.#httpStatus)
    return { code: statusCodes.internal, details: 'Received RST_STREAM with code 0 (Call ended without gRPC status)' }
  }

  #trailers(head: ResponseHeaders, endsStream: boolean): HeadersVerdict {
    if (head.httpStatus !== undefined) return malformed(':status in the trailers')
    if (!endsStream) return malformed('headers between the first and the last')
    return head.status === undefined ? { kind: 'end', status: statusOfHttp(this.#httpStatus) } : endOf(head.status)
  }
}

/** A proxy's page is no answer; what comes as gRPC has its status at the end, whatever HTTP says. */
function isGrpc({ httpStatus, contentType }: ResponseHeaders): boolean {
  if (contentType === undefined) return httpStatus === 200
  return contentType.startsWith('application/grpc')
}

function statusOfPage(httpStatus: number, contentType: string | undefined): CallStatus {
  if (httpStatus !== 200) return statusOfHttp(httpStatus)
  return { code: statusCodes.internal, details: `Received content of the type ${contentType}, and no gRPC status` }
}

/** One object for each status, as most answers have the same one. */
function endOf(status: CallStatus): HeadersVerdict {
  const known = ended.get(status)
  if (known !== undefined) return known
  const verdict: HeadersVerdict = { kind: 'end', status }
  if (status.code === statusCodes.ok) ended.set(status, verdict)
  return verdict
}

function malformed(what: string): HeadersVerdict {
  const details = `HTTP/2 PROTOCOL_ERROR: the headers of the answer have ${what}`
  return refused({ code: statusCodes.internal, details }, errorCodes.PROTOCOL_ERROR)
}

function refused(status: CallStatus, resetCode: number): HeadersVerdict {
  return { kind: 'refuse', status, resetCode }
}
