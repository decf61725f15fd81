import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { poll } from '../../../src/testing/index.js'
import type { CallStatus } from '../../../src/transport/channel.js'
import { defaultMaxFrameBytes, flags, frameTypes } from '../../../src/transport/http2/frame.js'
import type { HeaderField } from '../../../src/transport/http2/hpack/header-field.js'
import { errorCodes } from '../../../src/transport/http2/http2-error.js'
import { TestChannel } from '../../support/channel.js'
import { framed } from '../../support/grpc-server.js'
import { frameBytes, Http2Peer, okHead, type PeerConnection, settingsBytes, uint32 } from '../../support/http2-peer.js'

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } =
  frameTypes
const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, COMPRESSION_ERROR, ENHANCE_YOUR_CALM } = errorCodes

const flood = 20_001

type Attack = (peer: PeerConnection) => void

/** Sends a frame, `times` times in one write. */
function sends(
  type: number,
  frameFlags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
  times = 1,
): Attack {
  const frame = frameBytes(type, frameFlags, streamId, payload)
  return (peer) => peer.raw(Buffer.concat(Array.from({ length: times }, () => frame)))
}

/** A client with one call on stream 1, which the peer has received. */
async function called(
  t: TestContext,
): Promise<{ peer: PeerConnection; server: Http2Peer; channel: TestChannel; status: Promise<CallStatus> }> {
  const server = await Http2Peer.start(t)
  const channel = new TestChannel(t, server.endpoint)
  const peer = await server.connection()
  await channel.connected()
  const status = channel.call().then((outcome) => outcome.status)
  await peer.next(DATA)
  return { peer, server, channel, status }
}

const settings = (id: number, value: number): Uint8Array => settingsBytes([[id, value]])
const openBlock: Attack = (peer) => peer.send(HEADERS, 0, 1, peer.encode(okHead))

/** Connection errors: the error code that the peer receives, and the reason in its GOAWAY and in the status of the call. */
const connectionFaults: readonly (readonly [what: string, attack: Attack, code: number, why: RegExp])[] = [
  [
    'an oversized frame',
    (peer) => peer.raw(frameBytes(DATA, 0, 1, Buffer.alloc(0), 16_385)),
    FRAME_SIZE_ERROR,
    /16385 bytes/,
  ],
  ['DATA on stream 0', sends(DATA, 0, 0, Buffer.alloc(1)), PROTOCOL_ERROR, /DATA frame has stream ID 0/],
  ['HEADERS on stream 0', sends(HEADERS, 4, 0, Buffer.from([0x88])), PROTOCOL_ERROR, /HEADERS frame has stream ID 0/],
  ['RST_STREAM on stream 0', sends(RST_STREAM, 0, 0, uint32(0)), PROTOCOL_ERROR, /has stream ID 0/],
  ['PRIORITY on stream 0', sends(PRIORITY, 0, 0, Buffer.alloc(5)), PROTOCOL_ERROR, /has stream ID 0/],
  ['DATA on an idle stream', sends(DATA, 0, 3, Buffer.alloc(1)), PROTOCOL_ERROR, /stream 3, which was never opened/],
  ['HEADERS on an idle stream', sends(HEADERS, 4, 3, Buffer.from([0x88])), PROTOCOL_ERROR, /never opened/],
  ['HEADERS on an even stream ID', sends(HEADERS, 4, 2, Buffer.from([0x88])), PROTOCOL_ERROR, /never opened/],
  ['RST_STREAM on an idle stream', sends(RST_STREAM, 0, 3, uint32(0)), PROTOCOL_ERROR, /never opened/],
  ['WINDOW_UPDATE on an idle stream', sends(WINDOW_UPDATE, 0, 3, uint32(1)), PROTOCOL_ERROR, /never opened/],
  [
    'RST_STREAM of a wrong length',
    sends(RST_STREAM, 0, 1, Buffer.alloc(3)),
    FRAME_SIZE_ERROR,
    /RST_STREAM frame has 3/,
  ],
  ['PRIORITY of a wrong length', sends(PRIORITY, 0, 1, Buffer.alloc(4)), FRAME_SIZE_ERROR, /PRIORITY frame has 4/],
  ['SETTINGS on a stream', sends(SETTINGS, 0, 1), PROTOCOL_ERROR, /SETTINGS frame has a stream ID/],
  ['truncated SETTINGS', sends(SETTINGS, 0, 0, Buffer.alloc(5)), FRAME_SIZE_ERROR, /within a setting/],
  ['too many settings', sends(SETTINGS, 0, 0, Buffer.alloc(6 * 65)), PROTOCOL_ERROR, /too many settings/],
  ['a SETTINGS acknowledgement with a payload', sends(SETTINGS, 1, 0, settings(4, 1)), FRAME_SIZE_ERROR, /has 6 bytes/],
  ['ENABLE_PUSH', sends(SETTINGS, 0, 0, settings(2, 1)), PROTOCOL_ERROR, /ENABLE_PUSH/],
  [
    'an INITIAL_WINDOW_SIZE out of range',
    sends(SETTINGS, 0, 0, settings(4, 2 ** 31)),
    FLOW_CONTROL_ERROR,
    /2147483648/,
  ],
  [
    'a MAX_FRAME_SIZE below the range',
    sends(SETTINGS, 0, 0, settings(5, 100)),
    PROTOCOL_ERROR,
    /MAX_FRAME_SIZE 100 is out of range/,
  ],
  ['a MAX_FRAME_SIZE above the range', sends(SETTINGS, 0, 0, settings(5, 2 ** 24)), PROTOCOL_ERROR, /16777216/],
  ['PING of a wrong length', sends(PING, 0, 0, Buffer.alloc(7)), FRAME_SIZE_ERROR, /PING frame has 7/],
  ['PING on a stream', sends(PING, 0, 1, Buffer.alloc(8)), PROTOCOL_ERROR, /PING frame has a stream ID/],
  ['a GOAWAY that is too short', sends(GOAWAY, 0, 0, Buffer.alloc(7)), FRAME_SIZE_ERROR, /too short/],
  ['GOAWAY on a stream', sends(GOAWAY, 0, 1, Buffer.alloc(8)), PROTOCOL_ERROR, /GOAWAY frame has a stream ID/],
  ['a WINDOW_UPDATE of 0', sends(WINDOW_UPDATE, 0, 0, uint32(0)), PROTOCOL_ERROR, /increment of 0/],
  ['WINDOW_UPDATE of a wrong length', sends(WINDOW_UPDATE, 0, 0, Buffer.alloc(3)), FRAME_SIZE_ERROR, /has 3 bytes/],
  ['a window overflow', sends(WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1)), FLOW_CONTROL_ERROR, /overflows/],
  ['PUSH_PROMISE', sends(PUSH_PROMISE, 4, 1, Buffer.concat([uint32(2), Buffer.from([0x88])])), PROTOCOL_ERROR, /push/],
  [
    'an HPACK index out of range',
    sends(HEADERS, 4, 1, Buffer.from([0xff, 0x20])),
    COMPRESSION_ERROR,
    /no field with the index/,
  ],
  [
    'a header table above the announced size',
    sends(HEADERS, 4, 1, Buffer.from([0x3f, 0xe2, 0x1f])),
    COMPRESSION_ERROR,
    /4097 bytes/,
  ],
  ['an endless HPACK integer', sends(HEADERS, 4, 1, Buffer.alloc(20, 0xff)), COMPRESSION_ERROR, /integer/],
  [
    'a truncated header block',
    sends(HEADERS, 4, 1, Buffer.from([0x40, 0x05, 0x61])),
    COMPRESSION_ERROR,
    /within a string/,
  ],
  [
    'DATA within a header block',
    (peer) => {
      openBlock(peer)
      peer.data(1, Buffer.alloc(1))
    },
    PROTOCOL_ERROR,
    /header block was interrupted/,
  ],
  [
    'PING within a header block',
    (peer) => {
      openBlock(peer)
      peer.send(PING, 0, 0, Buffer.alloc(8))
    },
    PROTOCOL_ERROR,
    /header block was interrupted/,
  ],
  [
    'CONTINUATION on another stream',
    (peer) => {
      openBlock(peer)
      peer.send(CONTINUATION, 4, 3)
    },
    PROTOCOL_ERROR,
    /another stream/,
  ],
  ['CONTINUATION without HEADERS', sends(CONTINUATION, 4, 1), PROTOCOL_ERROR, /without a header block/],
  [
    'a CONTINUATION flood',
    (peer) => {
      openBlock(peer)
      sends(CONTINUATION, 0, 1, Buffer.alloc(0), 100)(peer)
    },
    ENHANCE_YOUR_CALM,
    /exceeds 64 frames/,
  ],
  [
    'a header block above the limit',
    (peer) => {
      openBlock(peer)
      sends(CONTINUATION, 0, 1, Buffer.alloc(defaultMaxFrameBytes), 5)(peer)
    },
    ENHANCE_YOUR_CALM,
    /65536 bytes/,
  ],
  ['DATA with more padding than payload', sends(DATA, 8, 1, Buffer.from([200, 1, 2])), PROTOCOL_ERROR, /padding/],
  ['a PADDED flag without padding length', sends(DATA, 8, 1), FRAME_SIZE_ERROR, /no padding length/],
  [
    'HEADERS with more padding than payload',
    sends(HEADERS, 12, 1, Buffer.from([200, 1, 2])),
    PROTOCOL_ERROR,
    /padding/,
  ],
  ['a PING flood', sends(PING, 0, 0, Buffer.alloc(8), flood), ENHANCE_YOUR_CALM, /in a row carried nothing/],
  ['a flood of PING acknowledgements', sends(PING, 1, 0, Buffer.alloc(8), flood), ENHANCE_YOUR_CALM, /carried nothing/],
  ['a SETTINGS flood', sends(SETTINGS, 0, 0, Buffer.alloc(0), flood), ENHANCE_YOUR_CALM, /carried nothing/],
  [
    'an empty DATA flood',
    (peer) => {
      peer.headers(1, okHead)
      sends(DATA, 0, 1, Buffer.alloc(0), flood)(peer)
    },
    ENHANCE_YOUR_CALM,
    /carried nothing/,
  ],
  ['a flood of unknown frames', sends(99, 0, 1, Buffer.alloc(1), flood), ENHANCE_YOUR_CALM, /carried nothing/],
  ['a PRIORITY flood', sends(PRIORITY, 0, 1, Buffer.alloc(5), flood), ENHANCE_YOUR_CALM, /carried nothing/],
  ['a WINDOW_UPDATE flood', sends(WINDOW_UPDATE, 0, 1, uint32(1), flood), ENHANCE_YOUR_CALM, /carried nothing/],
]

describe('A connection error', () => {
  for (const [what, attack, code, why] of connectionFaults) {
    test(`by ${what} closes the connection with a GOAWAY and the reason`, async (t) => {
      const { peer, channel, status } = await called(t)
      attack(peer)
      const { code: grpcCode, details, sent } = await status
      assert.deepEqual([grpcCode, sent], [14, undefined])
      assert.match(details, why)
      await poll('it is closed', () => peer.socket.destroyed || undefined)
      // Acknowledgements of the flood may precede the GOAWAY.
      if (code === ENHANCE_YOUR_CALM) return
      const { payload } = await peer.next(GOAWAY)
      assert.equal(payload.readUInt32BE(4), code, payload.toString('latin1', 8))
      assert.match(payload.toString('latin1', 8), why)
      await channel.connected(2)
    })
  }

  test('by a flood of informational headers closes the connection', async (t) => {
    const { peer, status } = await called(t)
    const informational = frameBytes(HEADERS, flags.END_HEADERS, 1, Buffer.from([0x08, 0x03, 0x31, 0x30, 0x33]))
    peer.raw(Buffer.concat(Array.from({ length: flood }, () => informational)))
    assert.match((await status).details, /carried nothing/)
  })
})

const text = (name: string, value: string): HeaderField => [name, value]
const head =
  (...fields: HeaderField[]): Attack =>
  (peer) =>
    peer.headers(1, fields)
const ok = text(':status', '200')

/** Stream errors, which do not affect the connection. */
const streamFaults: readonly (readonly [what: string, attack: Attack, why: RegExp])[] = [
  ['a WINDOW_UPDATE of 0', sends(WINDOW_UPDATE, 0, 1, uint32(0)), /increment of 0/],
  ['a window overflow', sends(WINDOW_UPDATE, 0, 1, uint32(2 ** 31 - 1)), /overflows/],
  [
    'an INITIAL_WINDOW_SIZE that makes the window overflow',
    (peer) => {
      peer.send(WINDOW_UPDATE, 0, 1, uint32(1000))
      peer.send(SETTINGS, 0, 0, settings(4, 2 ** 31 - 1))
    },
    /overflows/,
  ],
  ['headers without :status', head(text('content-type', 'application/grpc')), /no :status/],
  ['a :status that is not a number', head(text(':status', 'abc')), /an invalid :status/],
  ['a :status after other fields', head(text('a', 'b'), ok), /wrong place/],
  ['a request pseudo-header', head(ok, text(':path', '/')), /pseudo-header :path/],
  ['an upper-case name', head(ok, text('Server', 'x')), /forbidden characters/],
  ['a connection-specific header', head(ok, text('connection', 'close')), /header connection/],
  ['a line break in a value', head(ok, text('a', 'b\nc')), /control character/],
  ['END_STREAM on informational headers', (peer) => peer.headers(1, [text(':status', '103')], 5), /103 at the end/],
  [
    'a second :status',
    (peer) => {
      peer.headers(1, okHead)
      peer.headers(1, okHead, 5)
    },
    /:status in the trailers/,
  ],
  [
    'headers between the initial ones and the trailers',
    (peer) => {
      peer.headers(1, okHead)
      peer.headers(1, [text('a', 'b')])
    },
    /between the initial headers and the trailers/,
  ],
  ['DATA before HEADERS', (peer) => peer.data(1, framed('x')), /before its headers/],
  [
    'a header list above the limit',
    head(ok, ...Array.from({ length: 20 }, () => text('a', 'x'.repeat(3500)))),
    /more bytes than this client accepts/,
  ],
  ['an HTML page', (peer) => peer.headers(1, [ok, text('content-type', 'text/html')]), /text\/html/],
]

describe('A stream error', () => {
  for (const [what, attack, why] of streamFaults) {
    test(`by ${what} ends the stream and not the connection`, async (t) => {
      const { peer, channel, status, server } = await called(t)
      attack(peer)
      const { code, details } = await status
      assert.equal(code, 13)
      assert.match(details, why)
      const next = channel.call('next')
      await peer.next(HEADERS, 2)
      peer.answer(3, 'answer')
      assert.equal((await next).message, 'answer')
      assert.equal(server.connections.length, 1)
    })
  }

  test('by more bytes than the window of the stream ends the stream', async (t) => {
    const server = await Http2Peer.start(t)
    const channel = new TestChannel(t, server.endpoint)
    await channel.connected()
    const peer = await server.connection()
    const { status, messages } = channel.stream(false)
    await peer.next(HEADERS)
    peer.headers(1, okHead)
    const window = 4 * 1024 * 1024
    for (let sent = 0; sent < window; sent += defaultMaxFrameBytes) peer.data(1, Buffer.alloc(defaultMaxFrameBytes))
    peer.data(1, Buffer.alloc(1))
    assert.match((await status).details, /FLOW_CONTROL_ERROR/)
    assert.equal((await peer.next(RST_STREAM)).payload.readUInt32BE(), FLOW_CONTROL_ERROR)
    assert.equal(messages.length, 0)
  })
})

describe('A peer that reads nothing', () => {
  /** A peer with a large window that has received one call. */
  async function stoppedPeer(
    t: TestContext,
  ): Promise<{ readonly channel: TestChannel; readonly peer: PeerConnection }> {
    const server = await Http2Peer.start(t)
    const channel = new TestChannel(t, server.endpoint)
    const peer = await server.connection()
    await channel.connected()
    peer.send(WINDOW_UPDATE, 0, 0, uint32(2 ** 30))
    await channel.call('x', 20)
    peer.socket.pause()
    return { channel, peer }
  }

  test('is sent no more than the socket accepts; further calls wait, and fail as not sent', async (t) => {
    const { channel, peer } = await stoppedPeer(t)
    const calls = Array.from({ length: 2000 }, () => channel.call(Buffer.alloc(10_000), 300))
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.ok(channel.channel.bytesUnsent < 400_000, `${channel.channel.bytesUnsent} bytes`)
    const outcomes = await Promise.all(calls)
    assert.ok(outcomes.every(({ status }) => status.code === 4))
    const unsent = outcomes.filter(({ status }) => status.sent === false).length
    assert.ok(unsent > 500, `${unsent} were not sent`)
    peer.socket.resume()
    const late = channel.call('late')
    await poll('the call arrives', () => [...peer.requests.keys()].find((id) => peer.body(id).includes('late')))
    peer.answer([...peer.requests.keys()].at(-1) ?? 0, 'answer')
    assert.equal((await late).message, 'answer')
  })

  test('is sent the calls that wait as soon as it reads again, although none of the others ends', async (t) => {
    const { channel, peer } = await stoppedPeer(t)
    const count = 1000
    for (let started = 0; started < count; started += 1) channel.start(Buffer.alloc(10_000), 60_000)
    await poll('calls wait', () => channel.channel.bytesUnsent > 100_000 || undefined)
    peer.socket.resume()
    await poll('all of them are sent', () => peer.requests.size === count + 1 || undefined)
  })
})

describe('A server that does not speak HTTP/2', () => {
  const cases = [
    ['an HTTP/1.1 response', 'HTTP/1.1 400 Bad Request\r\n\r\n', /speaks HTTP\/1, .* "HTTP\/1.1 400 Bad Request"/],
    ['an SSH greeting', 'SSH-2.0-OpenSSH_9.2\r\n', /does not speak HTTP\/2: it sent "SSH-2.0-OpenSSH_9.2"/],
    ['a TLS alert', '\x15\x03\x01\x00\x02\x02\x46', /speaks TLS: use https/],
    ['a SETTINGS acknowledgement', frameBytes(SETTINGS, 1, 0).toString('latin1'), /first frame is not SETTINGS/],
    [
      'random bytes',
      '\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5',
      /does not speak HTTP\/2: its first bytes are ff fe fd fc fb fa f9 f8$/,
    ],
  ] as const

  for (const [what, bytes, why] of cases) {
    test(`is recognized by ${what}`, async (t) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on('error', () => {})
        socket.write(bytes, 'latin1')
      }).listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      t.after(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      const address = server.address()
      assert.ok(typeof address === 'object' && address !== null)
      const channel = new TestChannel(t, `http://127.0.0.1:${address.port}`)
      const reason = await poll('it fails', () => channel.reasons[0])
      assert.match(reason, why)
      assert.ok(!channel.kinds.includes('connected'))
    })
  }
})
