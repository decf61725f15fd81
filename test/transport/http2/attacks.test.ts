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

/** A frame, or many of them in one piece. */
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

/** A client with one call on the stream 1, which the peer has got. */
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

/** What ends a connection: what it is, how it is sent, what the peer is told, and what the calls are. */
const connectionFaults: readonly (readonly [what: string, attack: Attack, code: number, why: RegExp])[] = [
  [
    'a frame that is too large',
    (peer) => peer.raw(frameBytes(DATA, 0, 1, Buffer.alloc(0), 16_385)),
    FRAME_SIZE_ERROR,
    /16385 bytes/,
  ],
  ['data for no stream', sends(DATA, 0, 0, Buffer.alloc(1)), PROTOCOL_ERROR, /DATA frame is for no stream/],
  [
    'headers for no stream',
    sends(HEADERS, 4, 0, Buffer.from([0x88])),
    PROTOCOL_ERROR,
    /HEADERS frame is for no stream/,
  ],
  ['a reset of no stream', sends(RST_STREAM, 0, 0, uint32(0)), PROTOCOL_ERROR, /for no stream/],
  ['a priority of no stream', sends(PRIORITY, 0, 0, Buffer.alloc(5)), PROTOCOL_ERROR, /for no stream/],
  ['data for an idle stream', sends(DATA, 0, 3, Buffer.alloc(1)), PROTOCOL_ERROR, /stream 3, which was never opened/],
  ['headers for an idle stream', sends(HEADERS, 4, 3, Buffer.from([0x88])), PROTOCOL_ERROR, /never opened/],
  ['headers for a stream of the peer', sends(HEADERS, 4, 2, Buffer.from([0x88])), PROTOCOL_ERROR, /never opened/],
  ['a reset of an idle stream', sends(RST_STREAM, 0, 3, uint32(0)), PROTOCOL_ERROR, /never opened/],
  ['a window for an idle stream', sends(WINDOW_UPDATE, 0, 3, uint32(1)), PROTOCOL_ERROR, /never opened/],
  ['a reset of a wrong length', sends(RST_STREAM, 0, 1, Buffer.alloc(3)), FRAME_SIZE_ERROR, /RST_STREAM frame has 3/],
  ['a priority of a wrong length', sends(PRIORITY, 0, 1, Buffer.alloc(4)), FRAME_SIZE_ERROR, /PRIORITY frame has 4/],
  ['settings for a stream', sends(SETTINGS, 0, 1), PROTOCOL_ERROR, /for a stream/],
  ['settings cut short', sends(SETTINGS, 0, 0, Buffer.alloc(5)), FRAME_SIZE_ERROR, /within a setting/],
  ['more settings than there are', sends(SETTINGS, 0, 0, Buffer.alloc(6 * 65)), PROTOCOL_ERROR, /more settings/],
  ['an answer to settings with settings', sends(SETTINGS, 1, 0, settings(4, 1)), FRAME_SIZE_ERROR, /has 6 bytes/],
  ['pushes switched on', sends(SETTINGS, 0, 0, settings(2, 1)), PROTOCOL_ERROR, /push/],
  [
    'an initial window that is too large',
    sends(SETTINGS, 0, 0, settings(4, 2 ** 31)),
    FLOW_CONTROL_ERROR,
    /2147483648/,
  ],
  ['a frame size that is too small', sends(SETTINGS, 0, 0, settings(5, 100)), PROTOCOL_ERROR, /frames of 100 bytes/],
  ['a frame size that is too large', sends(SETTINGS, 0, 0, settings(5, 2 ** 24)), PROTOCOL_ERROR, /16777216/],
  ['a ping of a wrong length', sends(PING, 0, 0, Buffer.alloc(7)), FRAME_SIZE_ERROR, /PING frame has 7/],
  ['a ping of a stream', sends(PING, 0, 1, Buffer.alloc(8)), PROTOCOL_ERROR, /for a stream/],
  ['a GOAWAY that is too short', sends(GOAWAY, 0, 0, Buffer.alloc(7)), FRAME_SIZE_ERROR, /too short/],
  ['a GOAWAY for a stream', sends(GOAWAY, 0, 1, Buffer.alloc(8)), PROTOCOL_ERROR, /for a stream/],
  ['an update of nothing', sends(WINDOW_UPDATE, 0, 0, uint32(0)), PROTOCOL_ERROR, /0 bytes/],
  ['an update of a wrong length', sends(WINDOW_UPDATE, 0, 0, Buffer.alloc(3)), FRAME_SIZE_ERROR, /has 3 bytes/],
  ['a window that overflows', sends(WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1)), FLOW_CONTROL_ERROR, /became too large/],
  ['a push', sends(PUSH_PROMISE, 4, 1, Buffer.concat([uint32(2), Buffer.from([0x88])])), PROTOCOL_ERROR, /push/],
  [
    'a header that is not in the table',
    sends(HEADERS, 4, 1, Buffer.from([0xff, 0x20])),
    COMPRESSION_ERROR,
    /no field with the index/,
  ],
  [
    'a header table that was not offered',
    sends(HEADERS, 4, 1, Buffer.from([0x3f, 0xe2, 0x1f])),
    COMPRESSION_ERROR,
    /4097 bytes/,
  ],
  ['an integer without end', sends(HEADERS, 4, 1, Buffer.alloc(20, 0xff)), COMPRESSION_ERROR, /integer/],
  [
    'a header block cut short',
    sends(HEADERS, 4, 1, Buffer.from([0x40, 0x05, 0x61])),
    COMPRESSION_ERROR,
    /within a string/,
  ],
  [
    'a frame within a header block',
    (peer) => {
      openBlock(peer)
      peer.data(1, Buffer.alloc(1))
    },
    PROTOCOL_ERROR,
    /within a header block/,
  ],
  [
    'a ping within a header block',
    (peer) => {
      openBlock(peer)
      peer.send(PING, 0, 0, Buffer.alloc(8))
    },
    PROTOCOL_ERROR,
    /within a header block/,
  ],
  [
    'a continuation for another stream',
    (peer) => {
      openBlock(peer)
      peer.send(CONTINUATION, 4, 3)
    },
    PROTOCOL_ERROR,
    /another stream/,
  ],
  ['a continuation of nothing', sends(CONTINUATION, 4, 1), PROTOCOL_ERROR, /continues nothing/],
  [
    'continuations without end',
    (peer) => {
      openBlock(peer)
      sends(CONTINUATION, 0, 1, Buffer.alloc(0), 100)(peer)
    },
    ENHANCE_YOUR_CALM,
    /more than 64 frames/,
  ],
  [
    'a header block without end',
    (peer) => {
      openBlock(peer)
      sends(CONTINUATION, 0, 1, Buffer.alloc(defaultMaxFrameBytes), 5)(peer)
    },
    ENHANCE_YOUR_CALM,
    /65536 bytes/,
  ],
  ['data that is all padding', sends(DATA, 8, 1, Buffer.from([200, 1, 2])), PROTOCOL_ERROR, /padding/],
  ['padding without its length', sends(DATA, 8, 1), FRAME_SIZE_ERROR, /no length of its padding/],
  ['headers that are all padding', sends(HEADERS, 12, 1, Buffer.from([200, 1, 2])), PROTOCOL_ERROR, /padding/],
  ['pings without end', sends(PING, 0, 0, Buffer.alloc(8), flood), ENHANCE_YOUR_CALM, /in a row carried nothing/],
  [
    'answers to pings that nobody sent',
    sends(PING, 1, 0, Buffer.alloc(8), flood),
    ENHANCE_YOUR_CALM,
    /carried nothing/,
  ],
  ['settings without end', sends(SETTINGS, 0, 0, Buffer.alloc(0), flood), ENHANCE_YOUR_CALM, /carried nothing/],
  [
    'empty data without end',
    (peer) => {
      peer.headers(1, okHead)
      sends(DATA, 0, 1, Buffer.alloc(0), flood)(peer)
    },
    ENHANCE_YOUR_CALM,
    /carried nothing/,
  ],
  ['unknown frames without end', sends(99, 0, 1, Buffer.alloc(1), flood), ENHANCE_YOUR_CALM, /carried nothing/],
  ['priorities without end', sends(PRIORITY, 0, 1, Buffer.alloc(5), flood), ENHANCE_YOUR_CALM, /carried nothing/],
  ['window updates without end', sends(WINDOW_UPDATE, 0, 1, uint32(1), flood), ENHANCE_YOUR_CALM, /carried nothing/],
]

describe('A peer that breaks the rules for a connection', () => {
  for (const [what, attack, code, why] of connectionFaults) {
    test(`by ${what} ends it, and hears why`, async (t) => {
      const { peer, channel, status } = await called(t)
      attack(peer)
      const { code: grpcCode, details, sent } = await status
      assert.deepEqual([grpcCode, sent], [14, undefined])
      assert.match(details, why)
      await poll('it is closed', () => peer.socket.destroyed || undefined)
      // What a flood has to be answered with may stand before it.
      if (code === ENHANCE_YOUR_CALM) return
      const { payload } = await peer.next(GOAWAY)
      assert.equal(payload.readUInt32BE(4), code, payload.toString('latin1', 8))
      assert.match(payload.toString('latin1', 8), why)
      await channel.connected(2)
    })
  }

  test('by informational headers without end ends it', async (t) => {
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

/** What ends a stream and leaves the connection alone. */
const streamFaults: readonly (readonly [what: string, attack: Attack, why: RegExp])[] = [
  ['an update of nothing', sends(WINDOW_UPDATE, 0, 1, uint32(0)), /0 bytes/],
  ['a window that overflows', sends(WINDOW_UPDATE, 0, 1, uint32(2 ** 31 - 1)), /became too large/],
  [
    'an initial window that makes its own overflow',
    (peer) => {
      peer.send(WINDOW_UPDATE, 0, 1, uint32(1000))
      peer.send(SETTINGS, 0, 0, settings(4, 2 ** 31 - 1))
    },
    /became too large/,
  ],
  ['headers without a status', head(text('content-type', 'application/grpc')), /no :status/],
  ['a status that is no number', head(text(':status', 'abc')), /no number as :status/],
  ['a status that is not the first', head(text('a', 'b'), ok), /wrong place/],
  ['a pseudo-header of requests', head(ok, text(':path', '/')), /pseudo-header :path/],
  ['a name in capitals', head(ok, text('Server', 'x')), /forbidden letters/],
  ['a header of HTTP/1', head(ok, text('connection', 'close')), /header connection/],
  ['a value of two lines', head(ok, text('a', 'b\nc')), /control character/],
  ['an end for information only', (peer) => peer.headers(1, [text(':status', '103')], 5), /103 at the end/],
  [
    'a second status',
    (peer) => {
      peer.headers(1, okHead)
      peer.headers(1, okHead, 5)
    },
    /:status in the trailers/,
  ],
  [
    'headers in the middle',
    (peer) => {
      peer.headers(1, okHead)
      peer.headers(1, [text('a', 'b')])
    },
    /between the first and the last/,
  ],
  ['data before headers', (peer) => peer.data(1, framed('x')), /before its headers/],
  [
    'more headers than the limit',
    head(ok, ...Array.from({ length: 20 }, () => text('a', 'x'.repeat(3500)))),
    /larger than this client takes/,
  ],
  ['a page', (peer) => peer.headers(1, [ok, text('content-type', 'text/html')]), /text\/html/],
]

describe('A peer that breaks the rules for a stream', () => {
  for (const [what, attack, why] of streamFaults) {
    test(`by ${what} ends that, and the connection goes on`, async (t) => {
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

  test('by more bytes than the window of a stream ends that', async (t) => {
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
  test('gets no more than the socket takes, and calls wait in this process, known not to be sent', async (t) => {
    const server = await Http2Peer.start(t)
    const channel = new TestChannel(t, server.endpoint)
    const peer = await server.connection()
    await channel.connected()
    peer.send(WINDOW_UPDATE, 0, 0, uint32(2 ** 30))
    await channel.call('x', 20)
    peer.socket.pause()
    const calls = Array.from({ length: 2000 }, () => channel.call(Buffer.alloc(10_000), 300))
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.ok(channel.channel.bytesUnsent < 400_000, `${channel.channel.bytesUnsent} bytes`)
    const outcomes = await Promise.all(calls)
    assert.ok(outcomes.every(({ status }) => status.code === 4))
    const unsent = outcomes.filter(({ status }) => status.sent === false).length
    assert.ok(unsent > 500, `${unsent} were not sent`)
    peer.socket.resume()
    const late = channel.call('late')
    await poll('it is there', () => [...peer.requests.keys()].find((id) => peer.body(id).includes('late')))
    peer.answer([...peer.requests.keys()].at(-1) ?? 0, 'answer')
    assert.equal((await late).message, 'answer')
  })
})

describe('A server that speaks something else', () => {
  const cases = [
    ['a page of HTTP/1.1', 'HTTP/1.1 400 Bad Request\r\n\r\n', /speaks HTTP\/1, .* "HTTP\/1.1 400 Bad Request"/],
    ['a greeting of SSH', 'SSH-2.0-OpenSSH_9.2\r\n', /does not speak HTTP\/2: it sent "SSH-2.0-OpenSSH_9.2"/],
    ['an alert of TLS', '\x15\x03\x01\x00\x02\x02\x46', /speaks TLS: use https/],
    ['an answer to settings', frameBytes(SETTINGS, 1, 0).toString('latin1'), /first frame is not SETTINGS/],
    [
      'noise',
      '\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5',
      /does not speak HTTP\/2: its first bytes are ff fe fd fc fb fa f9 f8$/,
    ],
  ] as const

  for (const [what, bytes, why] of cases) {
    test(`is recognised by ${what}`, async (t) => {
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
