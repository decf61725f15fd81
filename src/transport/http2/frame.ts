/** The frame types: RFC 9113, section 6. */
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

/** The frame flags. One bit may have different meanings in different types. */
export const flags = {
  ACK: 1,
  END_STREAM: 1,
  END_HEADERS: 4,
  PADDED: 8,
  PRIORITY: 32,
} as const

/** The length of a frame header: length, type, flags and stream ID. */
export const frameHeaderBytes = 9

/** The default of SETTINGS_MAX_FRAME_SIZE, which this side never raises. */
export const defaultMaxFrameBytes = 16_384

/** The largest window size, and the highest stream ID. */
export const maxUint31 = 2 ** 31 - 1

/** The connection preface: RFC 9113, section 3.4. */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
