/** The error codes of HTTP/2: RFC 9113, section 7. */
export const errorCodes = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const

const names = new Map<number, string>(Object.entries(errorCodes).map(([name, code]) => [code, name]))

/** `PROTOCOL_ERROR` for 1, and the number for a code that has no name. */
export function errorName(code: number): string {
  return names.get(code) ?? `code ${code}`
}

/** The peer broke the rules of HTTP/2, or went beyond a limit of this side: the connection ends. */
export class Http2Error extends Error {
  override readonly name = 'Http2Error'
  /** What the peer gets to know. */
  readonly code: number

  constructor(code: number, message: string) {
    super(`HTTP/2 ${errorName(code)}: ${message}`)
    this.code = code
  }
}

/** The peer did what HTTP/2 forbids. */
export function protocolError(message: string): Http2Error {
  return new Http2Error(errorCodes.PROTOCOL_ERROR, message)
}

/** A frame has a length that it may not have. */
export function frameSizeError(message: string): Http2Error {
  return new Http2Error(errorCodes.FRAME_SIZE_ERROR, message)
}

/** The peer sent more than its window allows, or made a window of this side too large. */
export function flowControlError(message: string): Http2Error {
  return new Http2Error(errorCodes.FLOW_CONTROL_ERROR, message)
}

/** A block of headers cannot be decoded, and nor can those after it. */
export function compressionError(message: string): Http2Error {
  return new Http2Error(errorCodes.COMPRESSION_ERROR, message)
}

/** The peer sends more of something than is of any use. */
export function excessError(message: string): Http2Error {
  return new Http2Error(errorCodes.ENHANCE_YOUR_CALM, message)
}
