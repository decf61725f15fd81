import { defaultMaxFrameBytes, maxUint31 } from './frame.js'
import { flowControlError, frameSizeError, protocolError } from './http2-error.js'

const ids = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

const settingBytes = 6
/** No setting has a second meaning, so that one frame with more of them than exist several times is no use to anybody. */
const maxSettingsBytes = 64 * settingBytes
const maxFrameSizeLimit = 2 ** 24 - 1

/** Bytes of the answer to one call or on one stream that may be on their way: enough for pages of some MiB on long links. */
export const streamWindowBytes = 4 * 1024 * 1024
/** The same for a whole connection. It is given back at once: what bounds memory are the windows of the streams. */
export const connectionWindowBytes = 16 * 1024 * 1024
/** The largest list of headers that is taken in, as HTTP/2 counts it. */
export const maxHeaderListBytes = 65_536
/** The dynamic table for what the peer sends, which is the size that it begins with. */
export const decoderTableBytes = 4096

/** The payload of this side's SETTINGS: no pushes, and the limits above. */
export const ownSettings = settingsPayload([
  [ids.ENABLE_PUSH, 0],
  [ids.INITIAL_WINDOW_SIZE, streamWindowBytes],
  [ids.MAX_HEADER_LIST_SIZE, maxHeaderListBytes],
])

function settingsPayload(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * settingBytes)
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, index * settingBytes)
    payload.writeUInt32BE(value, index * settingBytes + 2)
  }
  return payload
}

/** What the peer allows, as it said last. The first values are those of RFC 9113, section 6.5.2. */
export class PeerSettings {
  maxStreams = Number.POSITIVE_INFINITY
  initialWindowBytes = 65_535
  maxHeaderListBytes = Number.POSITIVE_INFINITY

  readonly #onHeaderTableBytes: (bytes: number) => void

  /** `onHeaderTableBytes` hears of each size for the table of this side's headers, as several in a frame all count. */
  constructor(onHeaderTableBytes: (bytes: number) => void) {
    this.#onHeaderTableBytes = onHeaderTableBytes
  }

  /** Takes in the payload of a SETTINGS frame. Throws an `Http2Error` for values that are not allowed. */
  apply(payload: Buffer): void {
    if (payload.length % settingBytes !== 0) throw frameSizeError('a SETTINGS frame ends within a setting')
    if (payload.length > maxSettingsBytes) throw protocolError('a SETTINGS frame has more settings than there are')
    for (let at = 0; at < payload.length; at += settingBytes) {
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
    }
  }

  #set(id: number, value: number): void {
    switch (id) {
      case ids.HEADER_TABLE_SIZE:
        this.#onHeaderTableBytes(value)
        return
      case ids.ENABLE_PUSH:
        if (value !== 0) throw protocolError('a server offers to be pushed to')
        return
      case ids.MAX_CONCURRENT_STREAMS:
        this.maxStreams = value
        return
      case ids.INITIAL_WINDOW_SIZE:
        if (value > maxUint31) throw flowControlError(`a window of ${value} bytes is too large`)
        this.initialWindowBytes = value
        return
      case ids.MAX_FRAME_SIZE:
        if (value < defaultMaxFrameBytes || value > maxFrameSizeLimit) {
          throw protocolError(`frames of ${value} bytes cannot be allowed`)
        }
        // Frames of this side are never larger than what every peer allows, so that streams take turns often.
        return
      case ids.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value
    }
  }
}
