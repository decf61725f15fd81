import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { poll } from '../../src/testing/index.js'
import { flags, frameTypes } from '../../src/transport/http2/frame.js'
import { HpackDecoder } from '../../src/transport/http2/hpack/decoder.js'
import { HpackEncoder } from '../../src/transport/http2/hpack/encoder.js'
import type { HeaderField } from '../../src/transport/http2/hpack/header-field.js'
import { framed } from './grpc-server.js'

/** A frame that came from the client. */
export interface PeerFrame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

const prefaceBytes = 24
const empty = Buffer.alloc(0)

/** The bytes of a frame, whatever they are. `length` is what its head says. */
export function frameBytes(
  type: number,
  frameFlags: number,
  streamId: number,
  payload: Uint8Array = empty,
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = type
  head[4] = frameFlags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

export function settingsBytes(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6)
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, index * 6)
    payload.writeUInt32BE(value, index * 6 + 2)
  }
  return payload
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
  return bytes
}

export const okHead = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
] as const satisfies readonly HeaderField[]
export const okTrailers: readonly HeaderField[] = [
  ['grpc-status', '0'],
  ['grpc-message', ''],
]

/** One connection that a client made to a peer that says whatever a test wants. */
export class PeerConnection {
  readonly frames: PeerFrame[] = []
  readonly socket: Socket
  readonly #encoder = new HpackEncoder(() => false)
  readonly #decoder = new HpackDecoder(4096, Number.POSITIVE_INFINITY)
  /** The headers of the calls that were made, by stream. */
  readonly requests = new Map<number, readonly HeaderField[]>()
  #unread: Buffer = empty
  #isBegun = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  /** The settings that every peer begins with. */
  begin(settings: readonly (readonly [id: number, value: number])[] = []): void {
    this.send(frameTypes.SETTINGS, 0, 0, settingsBytes(settings))
  }

  send(type: number, frameFlags: number, streamId: number, payload: Uint8Array = empty): void {
    this.raw(frameBytes(type, frameFlags, streamId, payload))
  }

  raw(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  encode(fields: readonly HeaderField[]): Buffer {
    return this.#encoder.encode(fields)
  }

  headers(streamId: number, fields: readonly HeaderField[], frameFlags = flags.END_HEADERS as number): void {
    this.send(frameTypes.HEADERS, frameFlags, streamId, this.encode(fields))
  }

  data(streamId: number, bytes: Uint8Array, frameFlags = 0): void {
    this.send(frameTypes.DATA, frameFlags, streamId, bytes)
  }

  trailers(streamId: number, fields: readonly HeaderField[] = okTrailers): void {
    this.headers(streamId, fields, flags.END_HEADERS | flags.END_STREAM)
  }

  /** A whole answer of one message. */
  answer(streamId: number, message: Buffer | string): void {
    this.headers(streamId, okHead)
    this.data(streamId, framed(message))
    this.trailers(streamId)
  }

  /** The frames of a type that have come, for one stream or for any. */
  of(type: number, streamId?: number): PeerFrame[] {
    return this.frames.filter((frame) => frame.type === type && (streamId === undefined || frame.streamId === streamId))
  }

  /** Waits for the `count`-th frame of a type. */
  async next(type: number, count = 1, streamId?: number): Promise<PeerFrame> {
    return await poll(`frame ${count} of the type ${type} has come`, () => this.of(type, streamId)[count - 1])
  }

  /** The bytes of a stream's body that have come. */
  body(streamId: number): Buffer {
    return Buffer.concat(this.of(frameTypes.DATA, streamId).map(({ payload }) => payload))
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk])
    if (!this.#isBegun) {
      if (this.#unread.length < prefaceBytes) return
      this.#isBegun = true
      this.#unread = this.#unread.subarray(prefaceBytes)
    }
    while (this.#unread.length >= 9 && this.#unread.length >= 9 + this.#unread.readUIntBE(0, 3)) this.#readFrame()
  }

  #readFrame(): void {
    const end = 9 + this.#unread.readUIntBE(0, 3)
    const [type = 0, frameFlags = 0] = this.#unread.subarray(3, 5)
    const payload = this.#unread.subarray(9, end)
    const streamId = this.#unread.readUInt32BE(5)
    this.#unread = this.#unread.subarray(end)
    if (type === frameTypes.HEADERS && (frameFlags & flags.END_HEADERS) !== 0) {
      this.requests.set(streamId, this.#decoder.decode(payload).fields)
    }
    this.frames.push({ type, flags: frameFlags, streamId, payload })
  }
}

/** Listens on a loopback port, and leaves what is said to `script`. */
export class Http2Peer {
  readonly connections: PeerConnection[] = []
  readonly #server: Server

  private constructor(script: (connection: PeerConnection, index: number) => void) {
    this.#server = createServer((socket) => {
      const connection = new PeerConnection(socket)
      this.connections.push(connection)
      script(connection, this.connections.length - 1)
    })
  }

  static async start(
    t: TestContext,
    script: (connection: PeerConnection, index: number) => void = (connection) => connection.begin(),
    host = '127.0.0.1',
  ): Promise<Http2Peer> {
    const peer = new Http2Peer(script)
    peer.#server.listen(0, host)
    await once(peer.#server, 'listening')
    t.after(() => {
      for (const { socket } of peer.connections) socket.destroy()
      peer.#server.close()
    })
    return peer
  }

  get endpoint(): string {
    const { address, family, port } = this.address
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  }

  get address(): AddressInfo {
    // A TCP server's address is never a string or null while it listens.
    return this.#server.address() as AddressInfo
  }

  async connection(index = 0): Promise<PeerConnection> {
    return await poll('a client has connected', () => this.connections[index])
  }
}
