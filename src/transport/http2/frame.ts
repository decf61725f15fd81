/** The types of frames: RFC 9113, section 6. */
export const frameTypes = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

/** The flags of frames; one bit means different things in different types. */
export const flags = {
  ACK: 1,
  END_STREAM: 1,
  END_HEADERS: 4,
  PADDED: 8,
  PRIORITY: 32,
} as const

/** Length, type, flags and stream of a frame. */
export const frameHeaderBytes = 9

/** The largest payload that may be sent until the other side allows more, which this side never does. */
export const defaultMaxFrameBytes = 16_384

/** The largest size of a window, and the highest ID of a stream. */
export const maxUint31 = 2 ** 31 - 1

/** The first bytes of a connection: RFC 9113, section 3.4. */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
