/** The HTTP/2 error codes: RFC 9113, section 7. */
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

/** The name of an error code: `PROTOCOL_ERROR` for 1, `code 99` for an unknown one. */
export function errorName(code: number): string {
  return names.get(code) ?? `code ${code}`
}

/** A connection error: the peer violated HTTP/2 or a limit of this client. */
export class Http2Error extends Error {
  override readonly name = 'Http2Error'
  /** The error code that is sent to the peer. */
  readonly code: number

  constructor(code: number, message: string) {
    super(`HTTP/2 ${errorName(code)}: ${message}`)
    this.code = code
  }
}

/** The peer violated the protocol. */
export function protocolError(message: string): Http2Error {
  return new Http2Error(errorCodes.PROTOCOL_ERROR, message)
}

/** A frame has an invalid length. */
export function frameSizeError(message: string): Http2Error {
  return new Http2Error(errorCodes.FRAME_SIZE_ERROR, message)
}

/** The peer violated flow control. */
export function flowControlError(message: string): Http2Error {
  return new Http2Error(errorCodes.FLOW_CONTROL_ERROR, message)
}

/** A header block cannot be decoded, and nor can the following ones. */
export function compressionError(message: string): Http2Error {
  return new Http2Error(errorCodes.COMPRESSION_ERROR, message)
}

/** The peer sends an excessive number of frames. */
export function excessError(message: string): Http2Error {
  return new Http2Error(errorCodes.ENHANCE_YOUR_CALM, message)
}
