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
/** There are six settings. A frame with ten times as many is an attack. */
const maxSettingsBytes = 64 * settingBytes
const maxFrameSizeLimit = 2 ** 24 - 1

/** The receive window of a stream: enough for responses of several MiB on links with high latency. */
export const streamWindowBytes = 4 * 1024 * 1024
/** The receive window of the connection. It is updated on receipt, since the stream windows bound the memory. */
export const connectionWindowBytes = 16 * 1024 * 1024
/** The largest header list that is accepted, in the units of SETTINGS_MAX_HEADER_LIST_SIZE. */
export const maxHeaderListBytes = 65_536
/** The dynamic table size for received headers: the initial value of HTTP/2. */
export const decoderTableBytes = 4096

/** The payload of this side's SETTINGS: pushes disabled, and the limits above. */
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

/** The peer's current settings, initially the defaults of RFC 9113, section 6.5.2. */
export class PeerSettings {
  maxStreams = Number.POSITIVE_INFINITY
  initialWindowBytes = 65_535
  maxHeaderListBytes = Number.POSITIVE_INFINITY

  readonly #onHeaderTableBytes: (bytes: number) => void

  /** `onHeaderTableBytes` is called for each SETTINGS_HEADER_TABLE_SIZE, since several in one frame all count. */
  constructor(onHeaderTableBytes: (bytes: number) => void) {
    this.#onHeaderTableBytes = onHeaderTableBytes
  }

  /** Applies the payload of a SETTINGS frame. Throws an `Http2Error` for invalid values. */
  apply(payload: Buffer): void {
    if (payload.length % settingBytes !== 0) throw frameSizeError('a SETTINGS frame ends within a setting')
    if (payload.length > maxSettingsBytes) throw protocolError('a SETTINGS frame has too many settings')
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
        if (value !== 0) throw protocolError('a server must not set ENABLE_PUSH')
        return
      case ids.MAX_CONCURRENT_STREAMS:
        this.maxStreams = value
        return
      case ids.INITIAL_WINDOW_SIZE:
        if (value > maxUint31) throw flowControlError(`INITIAL_WINDOW_SIZE ${value} is out of range`)
        this.initialWindowBytes = value
        return
      case ids.MAX_FRAME_SIZE:
        if (value < defaultMaxFrameBytes || value > maxFrameSizeLimit) {
          throw protocolError(`MAX_FRAME_SIZE ${value} is out of range`)
        }
        // This side never sends frames above the default size, so that streams take turns often.
        return
      case ids.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value
    }
  }
}
