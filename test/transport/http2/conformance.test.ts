import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import { poll } from '../../../src/testing/index.js'
import { flags, frameTypes } from '../../../src/transport/http2/frame.js'
import type { HeaderField } from '../../../src/transport/http2/hpack/header-field.js'
import { errorCodes } from '../../../src/transport/http2/http2-error.js'
import { TestChannel, type TestChannelOptions } from '../../support/channel.js'
import { framed } from '../../support/grpc-server.js'
import {
  frameBytes,
  Http2Peer,
  okHead,
  okTrailers,
  type PeerConnection,
  settingsBytes,
  uint32,
} from '../../support/http2-peer.js'

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } = frameTypes
const { END_STREAM, END_HEADERS, PADDED } = flags
const settingIds = { tableSize: 1, maxStreams: 3, initialWindow: 4, maxFrame: 5, maxHeaderList: 6 } as const

interface Pair {
  readonly peer: PeerConnection
  readonly server: Http2Peer
  readonly channel: TestChannel
}

async function pair(
  t: TestContext,
  settings: readonly (readonly [id: number, value: number])[] = [],
  options?: TestChannelOptions,
): Promise<Pair> {
  const server = await Http2Peer.start(t, (connection) => connection.begin(settings))
  const channel = new TestChannel(t, server.endpoint, options)
  const peer = await server.connection()
  await channel.connected()
  return { peer, server, channel }
}

/** Waits until everything that the client sent before is there, and everything that the peer sent has been read. */
async function roundTrip(peer: PeerConnection): Promise<void> {
  const before = peer.of(PING).length
  peer.send(PING, 0, 0, Buffer.alloc(8))
  await peer.next(PING, before + 1)
}

describe('A connection', () => {
  test('starts with the preface, SETTINGS and a large receive window', async (t) => {
    const { peer } = await pair(t)
    const first = await peer.next(SETTINGS)
    assert.equal(peer.frames[0], first)
    assert.deepEqual(
      first.payload,
      settingsBytes([
        [2, 0],
        [settingIds.initialWindow, 4 * 1024 * 1024],
        [settingIds.maxHeaderList, 65_536],
      ]),
    )
    const update = await peer.next(WINDOW_UPDATE)
    assert.deepEqual([update.streamId, update.payload.readUInt32BE()], [0, 16 * 1024 * 1024 - 65_535])
    const answer = await peer.next(SETTINGS, 2)
    assert.deepEqual([answer.flags, answer.payload.length], [flags.ACK, 0])
  })

  test('acknowledges PING with its payload, and every SETTINGS', async (t) => {
    const { peer } = await pair(t)
    peer.send(PING, 0, 0, Buffer.from('12345678'))
    const pong = await peer.next(PING)
    assert.deepEqual([pong.flags, pong.payload.toString()], [flags.ACK, '12345678'])
    peer.begin()
    assert.equal((await peer.next(SETTINGS, 3)).flags, flags.ACK)
  })

  test('ignores padding, priorities, and unknown frames and flags', async (t) => {
    const { peer, channel } = await pair(t, [[0x99, 7]])
    const answer = channel.call()
    await peer.next(DATA)
    peer.send(PRIORITY, 0, 1, Buffer.alloc(5))
    peer.send(0x42, 0xff, 1, Buffer.from('what'))
    peer.send(0x42, 0, 0)
    const head = peer.encode(okHead)
    const reservedBit = 0x8000_0000
    peer.send(
      HEADERS,
      PADDED | flags.PRIORITY | END_HEADERS | 0x40,
      reservedBit + 1,
      Buffer.concat([Buffer.from([3]), Buffer.alloc(5), head, Buffer.alloc(3)]),
    )
    const message = framed('padded')
    peer.send(DATA, PADDED, 1, Buffer.concat([Buffer.from([200]), message, Buffer.alloc(200)]))
    peer.send(DATA, PADDED, 1, Buffer.from([0]))
    peer.trailers(1)
    assert.equal((await answer).message, 'padded')
  })

  test('assembles headers from any number of frames', async (t) => {
    const { peer, channel } = await pair(t)
    const answer = channel.call()
    await peer.next(DATA)
    const head = peer.encode([...okHead, ['x-long', 'y'.repeat(3000)]])
    peer.send(HEADERS, 0, 1, head.subarray(0, 1))
    for (let at = 1; at < head.length; at += 1000) peer.send(CONTINUATION, 0, 1, head.subarray(at, at + 1000))
    peer.send(CONTINUATION, END_HEADERS, 1)
    peer.data(1, framed('message'))
    const trailers = peer.encode(okTrailers)
    peer.send(HEADERS, END_STREAM, 1, trailers.subarray(0, 2))
    peer.send(CONTINUATION, END_HEADERS, 1, trailers.subarray(2))
    assert.equal((await answer).message, 'message')
  })

  test('decodes a short header block every time if it changes the table', async (t) => {
    const { peer, channel } = await pair(t)
    const answer = channel.call()
    await peer.next(DATA)
    // `:status: 103`, added to the table twice, and then the entry that is there only if it was.
    for (const block of ['4803313033', '4803313033', 'bf', 'be', 'bf']) {
      peer.send(HEADERS, END_HEADERS, 1, Buffer.from(block, 'hex'))
    }
    peer.send(HEADERS, END_HEADERS, 1, Buffer.from([0x88]))
    peer.data(1, framed('message'))
    peer.send(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.from('000b677270632d7374617475730130', 'hex'))
    assert.equal((await answer).message, 'message')
  })

  test('reads every header block by the table of its time', async (t) => {
    const { peer, channel } = await pair(t)
    const codes: number[] = []
    const respond = async (block: Buffer): Promise<void> => {
      const call = channel.call()
      const { streamId } = await peer.next(DATA, codes.length + 1)
      peer.send(HEADERS, END_HEADERS | END_STREAM, streamId, block)
      codes.push((await call).status.code)
    }
    // Blocks of equal bytes after an addition to the table, and long ones that differ in their last byte alone.
    for (const code of ['5', '5', '5', '7', '7', '7']) await respond(peer.encode([okHead[0], ['grpc-status', code]]))
    for (const code of ['5', '7', 'x']) await respond(Buffer.from(`\x88\0\x0bgrpc-status\x01${code}`, 'latin1'))
    assert.deepEqual(codes, [5, 5, 5, 7, 7, 7, 5, 7, 2])
    const last = channel.call()
    const { streamId } = await peer.next(DATA, codes.length + 1)
    peer.send(HEADERS, PADDED | END_STREAM, streamId, Buffer.from([2, 0, 0]))
    peer.send(CONTINUATION, END_HEADERS, streamId, peer.encode([okHead[0], ['grpc-status', '9']]))
    assert.equal((await last).status.code, 9)
  })

  test('has the status of gRPC if there is one, and an error if there is none', async (t) => {
    const { peer, channel } = await pair(t)
    const trailersOnly = channel.call()
    const withoutStatus = channel.call()
    await peer.next(DATA, 2)
    peer.trailers(1, [
      [':status', '503'],
      ['grpc-status', '7'],
    ])
    assert.equal((await trailersOnly).status.code, 7)
    peer.headers(3, okHead)
    peer.data(3, framed('message'))
    peer.trailers(3, [['x-trailer', '1']])
    assert.deepEqual((await withoutStatus).status, {
      code: 2,
      details: 'Received HTTP status code 200 and no gRPC status',
    })
  })

  test('accepts informational headers, trailers-only responses, and a reset after the response', async (t) => {
    const { peer, channel, server } = await pair(t)
    const informed = channel.call()
    await peer.next(DATA)
    peer.headers(1, [[':status', '103']])
    peer.headers(1, [[':status', '100']])
    peer.answer(1, 'informed')
    peer.send(RST_STREAM, 0, 1, uint32(errorCodes.NO_ERROR))
    assert.equal((await informed).message, 'informed')
    const refused = channel.call()
    await peer.next(DATA, 2)
    peer.trailers(3, [...okHead, ['grpc-status', '5'], ['grpc-message', 'no such key']])
    assert.deepEqual((await refused).status, { code: 5, details: 'no such key' })
    await roundTrip(peer)
    assert.equal(server.connections.length, 1)
  })

  test('ignores frames of ended calls, and keeps the header table consistent', async (t) => {
    const { peer, channel } = await pair(t)
    const { call } = channel.start()
    await peer.next(DATA)
    call.cancelWithStatus(1, '')
    assert.equal((await peer.next(RST_STREAM)).payload.readUInt32BE(), errorCodes.CANCEL)
    peer.headers(1, okHead)
    peer.data(1, Buffer.alloc(1000))
    peer.trailers(1, [...okTrailers, ['x-new', 'value']])
    peer.send(WINDOW_UPDATE, 0, 1, uint32(1))
    peer.send(RST_STREAM, 0, 1, uint32(0))
    const next = channel.call()
    await peer.next(HEADERS, 2)
    peer.answer(3, 'next')
    assert.equal((await next).message, 'next')
  })

  test('resets a call whose response is refused by its headers', async (t) => {
    const { peer, channel } = await pair(t)
    const call = channel.call()
    await peer.next(DATA)
    peer.headers(1, [okHead[0], ['content-type', 'text/html']])
    assert.equal((await call).status.code, 13)
    assert.equal((await peer.next(RST_STREAM, 1, 1)).payload.readUInt32BE(), errorCodes.CANCEL)
  })

  test('resets a call that has reached its deadline', async (t) => {
    const { peer, channel } = await pair(t)
    assert.equal((await channel.call('x', 20)).status.code, 4)
    assert.equal((await peer.next(RST_STREAM, 1, 1)).payload.readUInt32BE(), errorCodes.CANCEL)
  })

  test('gives a call that is reset without an error the status of its HTTP headers', async (t) => {
    const { peer, channel } = await pair(t)
    const call = channel.call()
    await peer.next(DATA)
    peer.headers(1, [[':status', '503'], okHead[1]])
    peer.send(RST_STREAM, 0, 1, uint32(errorCodes.NO_ERROR))
    assert.deepEqual((await call).status, {
      code: 14,
      details: 'Received HTTP status code 503 and no gRPC status',
    })
  })

  test('drains after a two-step GOAWAY', async (t) => {
    const { peer, server, channel } = await pair(t)
    const calls = [channel.call('1'), channel.call('2')]
    await peer.next(DATA, 2)
    peer.send(GOAWAY, 0, 0, uint32(2 ** 31 - 1, 0))
    peer.send(PING, 0, 0, Buffer.alloc(8))
    await channel.connected(2)
    await peer.next(PING)
    peer.send(GOAWAY, 0, 0, uint32(1, 0))
    assert.deepEqual((await calls[1])?.status, { code: 14, details: 'Stream refused by server', sent: false })
    assert.equal(peer.socket.destroyed, false)
    peer.answer(1, 'answer')
    assert.equal((await calls[0])?.message, 'answer')
    await poll('it is closed', () => peer.socket.destroyed || undefined)
    assert.equal(server.connections.length, 2)
    assert.deepEqual(channel.kinds, ['connected', 'connecting', 'connected'])
  })

  test('that drains ends the calls that wait for a stream at once, as not sent', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.maxStreams, 1]])
    const sent = channel.call('sent')
    const waiting = channel.call('waiting')
    await peer.next(DATA)
    peer.send(GOAWAY, 0, 0, uint32(1, 0))
    const { status } = await waiting
    assert.deepEqual([status.code, status.sent, peer.socket.destroyed], [14, false, false])
    peer.answer(1, 'answer')
    assert.equal((await sent).message, 'answer')
  })

  test('that the peer closes with an error reports it to the calls', async (t) => {
    const { peer, channel } = await pair(t)
    const call = channel.call()
    await peer.next(DATA)
    peer.send(GOAWAY, 0, 0, Buffer.concat([uint32(1, errorCodes.ENHANCE_YOUR_CALM), Buffer.from('too_many_pings')]))
    const { status } = await call
    assert.equal(status.code, 14)
    assert.match(status.details, /ENHANCE_YOUR_CALM: too_many_pings/)
  })

  test('that is closed within a frame ends its calls', async (t) => {
    const { peer, channel } = await pair(t)
    const call = channel.call()
    await peer.next(DATA)
    peer.headers(1, okHead)
    peer.raw(frameBytes(DATA, 0, 1, Buffer.alloc(10)).subarray(0, 12))
    peer.socket.end()
    assert.deepEqual((await call).status, { code: 14, details: 'Connection dropped' })
  })
})

describe('An address', () => {
  const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))

  test('may be an IPv6 address', { skip: hasIPv6 ? false : 'there is no IPv6' }, async (t) => {
    const server = await Http2Peer.start(t, (connection) => connection.begin(), '::1')
    assert.match(server.endpoint, /^http:\/\/\[::1\]:/)
    const channel = new TestChannel(t, server.endpoint)
    await channel.connected()
    const call = channel.call()
    const peer = await server.connection()
    await peer.next(DATA)
    assert.equal(new Map(peer.requests.get(1)).get(':authority'), server.endpoint.slice('http://'.length))
    peer.answer(1, 'answer')
    assert.equal((await call).message, 'answer')
  })

  test('may be a name with unreachable addresses', async (t) => {
    const server = await Http2Peer.start(t)
    const channel = new TestChannel(t, `http://localhost:${server.address.port}`)
    await channel.connected()
    assert.deepEqual(channel.kinds, ['connected'])
  })
})

describe('A ping without acknowledgement', () => {
  const impatient = { keepaliveMs: 50, keepaliveTimeoutMs: 100 }

  test('closes a silent connection', async (t) => {
    const { peer, channel } = await pair(t, [], impatient)
    const call = channel.call()
    await peer.next(PING)
    assert.match((await call).status.details, /Ping timeout: no answer within 100 ms/)
    await channel.connected(2)
  })

  test('closes a connection whose stream waited for it longer than `keepaliveMs`', async (t) => {
    const server = await Http2Peer.start(t, (connection, index) => index > 0 && connection.begin())
    const channel = new TestChannel(t, server.endpoint, impatient)
    const { status } = channel.stream()
    const peer = await server.connection()
    await new Promise((resolve) => setTimeout(resolve, 2 * impatient.keepaliveMs))
    peer.begin()
    await peer.next(PING)
    assert.match((await status).details, /Ping timeout/)
  })

  test('does not close a connection that receives bytes', async (t) => {
    const { peer, channel, server } = await pair(t, [], impatient)
    const call = channel.call()
    await peer.next(PING)
    const message = framed(Buffer.alloc(20, 'x'))
    peer.headers(1, okHead)
    for (let at = 0; at < message.length; at += 1) {
      peer.data(1, message.subarray(at, at + 1))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    peer.trailers(1)
    assert.equal((await call).message, 'x'.repeat(20))
    assert.equal(server.connections.length, 1)
  })

  test('does not close a connection whose bytes are unread because the process was blocked', async (t) => {
    const { peer, channel, server } = await pair(t, [], impatient)
    const call = channel.call()
    await peer.next(PING)
    // After an immediate, timers fire before sockets are read.
    await new Promise((resolve) => setImmediate(resolve))
    peer.answer(1, 'answer')
    const until = performance.now() + 2 * impatient.keepaliveTimeoutMs
    while (performance.now() < until);
    assert.equal((await call).message, 'answer')
    assert.equal(server.connections.length, 1)
  })
})

describe('Request headers', () => {
  const namesOf = (fields: readonly HeaderField[] = []): string[] => fields.map(([name]) => name)

  test('take a few bytes after the first call, with the token as a never-indexed literal', async (t) => {
    const { peer, channel } = await pair(t)
    const metadata = { hasleader: 'true', token: 'abcdefgh' }
    for (let index = 0; index < 3; index += 1) {
      const { outcome } = channel.start('x', 5000, metadata)
      await peer.next(DATA, index + 1)
      peer.answer(2 * index + 1, 'y')
      await outcome
    }
    const blocks = peer.of(HEADERS).map(({ payload }) => payload)
    assert.deepEqual(blocks[1], blocks[2])
    assert.ok((blocks[1]?.length ?? 99) <= 9 + 15, `${blocks[1]?.length} bytes`)
    const literal = Buffer.concat([Buffer.from([0x10, 0x04]), Buffer.from('token')])
    for (const block of blocks) assert.ok(block.includes('abcdefgh'))
    assert.ok(blocks[1]?.includes(Buffer.from([0x10])), literal.toString('hex'))
    assert.deepEqual(namesOf(peer.requests.get(5)).sort(), namesOf(peer.requests.get(1)).sort())
    assert.deepEqual(namesOf(peer.requests.get(1)).slice(0, 4), [':method', ':scheme', ':authority', ':path'])
    assert.deepEqual(new Map(peer.requests.get(5)).get('token'), 'abcdefgh')
  })

  test('have the token of their call, although those of an earlier call are cached', async (t) => {
    const { peer, channel } = await pair(t)
    const tokens = ['one', 'two', 'one', 'three', 'four', 'five', 'two']
    const metadata = new Map(tokens.map((token) => [token, { token, authorization: 'Bearer secret' }]))
    for (const [index, token] of tokens.entries()) {
      channel.start('x', 5000, metadata.get(token))
      const { streamId } = await peer.next(DATA, index + 1)
      assert.equal(new Map(peer.requests.get(streamId)).get('token'), token)
    }
    for (const { payload } of peer.of(HEADERS)) assert.ok(payload.includes('Bearer secret'), 'it is never indexed')
  })

  test('respect the table size of the peer', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.tableSize, 0]])
    const call = async (number: number): Promise<Buffer> => {
      const outcome = channel.call()
      await peer.next(DATA, number)
      peer.answer(2 * number - 1, 'y')
      await outcome
      return peer.of(HEADERS)[number - 1]?.payload ?? assert.fail()
    }
    const blocks = [await call(1), await call(2)]
    assert.equal(blocks[0]?.[0], 0x20)
    assert.equal((blocks[0]?.length ?? 0) - 1, blocks[1]?.length)
    peer.begin([[settingIds.tableSize, 4096]])
    await peer.next(SETTINGS, 3)
    await call(3)
    assert.ok((await call(4)).length < 30)
  })

  test('are split into frames, and rejected above the limit of the peer', async (t) => {
    const { peer, channel } = await pair(t)
    const { outcome } = channel.start('x', 5000, { token: 'x'.repeat(40_000) })
    await peer.next(DATA)
    const [headers] = peer.of(HEADERS)
    const continuations = peer.of(CONTINUATION)
    assert.deepEqual([headers?.flags, headers?.payload.length], [0, 16_384])
    assert.deepEqual(
      continuations.map((frame) => frame.flags),
      [0, END_HEADERS],
    )
    peer.answer(1, 'y')
    assert.equal((await outcome).message, 'y')
    peer.begin([[settingIds.maxHeaderList, 10_000]])
    await peer.next(SETTINGS, 3)
    const { status } = await channel.start('x', 5000, { token: 'x'.repeat(40_000) }).outcome
    assert.deepEqual([status.code, status.sent], [8, false])
    assert.match(status.details, /larger than/)
  })

  test('and messages of all calls of a tick are sent in one write', async (t) => {
    const { peer, channel } = await pair(t)
    await roundTrip(peer)
    let chunks = 0
    peer.socket.on('data', () => (chunks += 1))
    for (let index = 0; index < 100; index += 1) channel.start('message')
    await peer.next(DATA, 100)
    assert.equal(chunks, 1)
  })
})

describe('The send windows', () => {
  test('delay large messages, in order, and not the small ones after them', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.initialWindow, 100]])
    const large = [channel.call(Buffer.alloc(1000, 'a')), channel.call(Buffer.alloc(1000, 'b'))]
    const small = channel.call('small')
    await peer.next(DATA, 1, 5)
    assert.deepEqual([peer.body(1).length, peer.body(3).length, peer.body(5).length], [100, 100, 10])
    peer.answer(5, 'answer')
    assert.equal((await small).message, 'answer')
    peer.send(WINDOW_UPDATE, 0, 1, uint32(5))
    await peer.next(DATA, 2, 1)
    peer.begin([[settingIds.initialWindow, 100_000]])
    await poll('all is there', () => peer.body(3).length === 1005 || undefined)
    assert.deepEqual([peer.body(1), peer.body(3)], [framed(Buffer.alloc(1000, 'a')), framed(Buffer.alloc(1000, 'b'))])
    const ends = [1, 3].map((id) => peer.of(DATA, id).map((frame) => frame.flags))
    assert.deepEqual(ends, [
      [0, 0, END_STREAM],
      [0, END_STREAM],
    ])
    for (const id of [1, 3]) peer.answer(id, `answer ${id}`)
    assert.deepEqual(
      (await Promise.all(large)).map(({ message }) => message),
      ['answer 1', 'answer 3'],
    )
  })

  test('may be negative, and nothing is sent until they are positive', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.initialWindow, 500]])
    channel.start(Buffer.alloc(1000))
    await peer.next(DATA)
    peer.begin([[settingIds.initialWindow, 100]])
    await peer.next(SETTINGS, 3)
    peer.send(WINDOW_UPDATE, 0, 1, uint32(400))
    await roundTrip(peer)
    assert.equal(peer.body(1).length, 500)
    peer.send(WINDOW_UPDATE, 0, 1, uint32(7))
    await peer.next(DATA, 2)
    assert.equal(peer.body(1).length, 507)
  })

  test('of the connection are shared frame by frame', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.initialWindow, 1_000_000]])
    const calls = [channel.call(Buffer.alloc(100_000)), channel.call(Buffer.alloc(100_000)), channel.call('small')]
    await roundTrip(peer)
    const sent = [1, 3, 5].map((id) => peer.body(id).length)
    assert.equal(
      sent.reduce((sum, length) => sum + length, 0),
      65_535,
    )
    peer.send(WINDOW_UPDATE, 0, 0, uint32(50_000))
    await poll('the small one is there', () => peer.body(5).length === 10 || undefined)
    peer.send(WINDOW_UPDATE, 0, 0, uint32(1_000_000))
    await poll('all is there', () => peer.body(3).length === 100_005 || undefined)
    assert.ok(peer.of(DATA).every(({ payload }) => payload.length <= 16_384))
    for (const id of [1, 3, 5]) peer.answer(id, 'x')
    await Promise.all(calls)
  })

  test('of the connection hold for small messages, too', async (t) => {
    const { peer, channel } = await pair(t)
    const received = (): number => peer.of(DATA).reduce((sum, { payload }) => sum + payload.length, 0)
    const calls = Array.from({ length: 10 }, () => channel.call(Buffer.alloc(10_000)))
    await peer.next(DATA, 7)
    await roundTrip(peer)
    assert.equal(received(), 65_535)
    peer.send(WINDOW_UPDATE, 0, 0, uint32(100_000))
    await poll('all of them are there', () => received() === 10 * 10_005 || undefined)
    for (const id of peer.requests.keys()) peer.answer(id, 'answer')
    for (const call of calls) assert.equal((await call).message, 'answer')
    await roundTrip(peer)
    assert.equal(peer.of(RST_STREAM).length, 0, 'a call that was sent completely is not reset')
  })

  test('do not delay a call whose response arrives before all of it was sent', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.initialWindow, 100]])
    const call = channel.call(Buffer.alloc(1000))
    await peer.next(DATA)
    peer.trailers(1, [...okHead, ['grpc-status', '8'], ['grpc-message', 'too large']])
    assert.equal((await call).status.code, 8)
    assert.equal((await peer.next(RST_STREAM)).payload.readUInt32BE(), errorCodes.CANCEL)
    peer.send(WINDOW_UPDATE, 0, 1, uint32(1000))
    await roundTrip(peer)
    assert.equal(peer.body(1).length, 100)
  })
})

describe('The receive windows', () => {
  test('are updated for responses of any size', async (t) => {
    const { peer, channel } = await pair(t)
    const call = channel.call()
    await peer.next(DATA)
    const message = framed(Buffer.alloc(20_000_000, 'x'))
    peer.headers(1, okHead)
    for (let at = 0; at < message.length; at += 16_384) peer.data(1, message.subarray(at, at + 16_384))
    peer.trailers(1)
    assert.equal((await call).message?.length, 20_000_000)
    const given = (streamId: number): number =>
      peer.of(WINDOW_UPDATE, streamId).reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0)
    await roundTrip(peer)
    assert.ok(given(1) >= 16_000_000, `${given(1)}`)
    assert.ok(given(0) - 16 * 1024 * 1024 >= 8_000_000, `${given(0)}`)
  })

  test('stop the peer on a stream that is not read, and on no other stream', async (t) => {
    const { peer, channel } = await pair(t)
    const paused = channel.stream(false)
    const read = channel.stream()
    await peer.next(HEADERS, 2)
    for (const id of [1, 3]) peer.headers(id, okHead)
    const chunk = framed(Buffer.alloc(16_379, 'x'))
    for (let count = 0; count < 256; count += 1) peer.data(1, chunk)
    peer.data(3, framed('other'))
    await poll('the other one is read', () => read.messages.length === 1 || undefined)
    await roundTrip(peer)
    assert.deepEqual([paused.messages.length, peer.of(WINDOW_UPDATE, 1).length], [0, 0])
    for (let count = 0; count < 256; count += 1) {
      paused.stream.startRead()
      assert.equal(paused.messages.length, count, 'a message is not delivered while it is requested')
      await poll('one is read', () => paused.messages.length === count + 1 || undefined)
    }
    assert.ok(paused.messages.every((message) => message.length === 16_379))
    await peer.next(WINDOW_UPDATE, 2, 1)
    peer.trailers(1)
    assert.deepEqual(await paused.status, { code: 0, details: '' })
  })
})

describe('MAX_CONCURRENT_STREAMS', () => {
  test('makes further calls wait, in order, up to their deadlines', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.maxStreams, 1]])
    const calls = [channel.call('1'), channel.call('2'), channel.call('3')]
    const late = channel.call('late', 50)
    assert.deepEqual((await late).status, { code: 4, details: 'Deadline exceeded', sent: false })
    for (const id of [1, 3, 5]) {
      await peer.next(DATA, 1, id)
      await roundTrip(peer)
      assert.equal(peer.requests.size, (id + 1) / 2)
      peer.answer(id, `answer ${id}`)
    }
    assert.deepEqual(
      (await Promise.all(calls)).map(({ message }) => message),
      ['answer 1', 'answer 3', 'answer 5'],
    )
  })

  test('may be 0 for a while', async (t) => {
    const { peer, channel } = await pair(t, [[settingIds.maxStreams, 0]])
    const call = channel.call()
    await roundTrip(peer)
    assert.equal(peer.requests.size, 0)
    peer.begin([[settingIds.maxStreams, 10]])
    await peer.next(DATA)
    peer.answer(1, 'answer')
    assert.equal((await call).message, 'answer')
  })
})

describe('A stream', () => {
  test('transfers messages both ways, in order, and ends after the last', async (t) => {
    const { peer, channel } = await pair(t)
    const { stream, messages, status } = channel.stream()
    const sent: number[] = []
    for (let index = 0; index < 3; index += 1) {
      stream.sendMessageWithContext({ callback: () => sent.push(index) }, Buffer.from(`message ${index}`))
    }
    stream.halfClose()
    await peer.next(DATA, 4)
    assert.deepEqual(sent, [0, 1, 2])
    assert.deepEqual(peer.body(1), Buffer.concat([0, 1, 2].map((index) => framed(`message ${index}`))))
    assert.deepEqual(
      peer.of(DATA).map((frame) => frame.flags),
      [0, 0, 0, END_STREAM],
    )
    peer.headers(1, okHead)
    const bytes = Buffer.concat([framed('a'), framed(''), framed('b'.repeat(5000)), framed('c')])
    for (const part of [bytes.subarray(0, 3), bytes.subarray(3, 8), bytes.subarray(8)]) peer.data(1, part)
    peer.trailers(1)
    assert.deepEqual(await status, { code: 0, details: '' })
    assert.deepEqual(messages.map(String), ['a', '', 'b'.repeat(5000), 'c'])
  })

  test('is reset when it is cancelled, and when the peer ends it first', async (t) => {
    const { peer, channel } = await pair(t)
    const first = channel.stream()
    const second = channel.stream()
    first.status.then(() => assert.fail('it must stay silent'))
    await peer.next(HEADERS, 2)
    first.stream.cancelWithStatus(1, 'cancelled')
    assert.equal((await peer.next(RST_STREAM, 1, 1)).payload.readUInt32BE(), errorCodes.CANCEL)
    peer.headers(3, okHead)
    peer.trailers(3, [
      ['grpc-status', '14'],
      ['grpc-message', 'etcdserver: no leader'],
    ])
    assert.deepEqual(await second.status, { code: 14, details: 'etcdserver: no leader' })
    await peer.next(RST_STREAM, 1, 3)
    for (const { stream } of [first, second]) {
      stream.sendMessageWithContext({ callback: () => assert.fail('it is not sent') }, Buffer.from('late'))
      stream.halfClose()
    }
    await roundTrip(peer)
    assert.equal(peer.of(DATA).length, 0)
  })

  test('gets its window back for padding, too', async (t) => {
    const { peer, channel } = await pair(t)
    const { messages, status } = channel.stream()
    await peer.next(HEADERS)
    peer.headers(1, okHead)
    const message = framed(Buffer.alloc(17_000))
    const frames = [...message].map((byte) =>
      frameBytes(DATA, PADDED, 1, Buffer.concat([Buffer.from([255, byte]), Buffer.alloc(255)])),
    )
    peer.raw(Buffer.concat(frames))
    peer.trailers(1)
    assert.deepEqual(await status, { code: 0, details: '' })
    assert.equal(messages[0]?.length, 17_000)
  })

  test('is read in order, also when another stream requests its next message', async (t) => {
    const { peer, channel } = await pair(t)
    const paused = channel.stream(false)
    const other = channel.channel.startStream(
      '/test/Stream',
      {},
      { onReceiveMetadata() {}, onReceiveMessage: () => paused.stream.startRead(), onReceiveStatus() {} },
    )
    other.startRead()
    await peer.next(HEADERS, 2)
    for (const id of [1, 3]) peer.headers(id, okHead)
    peer.data(1, framed('first'))
    await roundTrip(peer)
    peer.raw(Buffer.concat([frameBytes(DATA, 0, 3, framed('go')), frameBytes(DATA, 0, 1, framed('second'))]))
    await poll('one is read', () => paused.messages.length === 1 || undefined)
    paused.stream.startRead()
    await poll('the other one is read', () => paused.messages.length === 2 || undefined)
    assert.deepEqual(paused.messages.map(String), ['first', 'second'])
  })

  test('that has ended with OK is read to its end after the connection is lost', async (t) => {
    const { peer, channel } = await pair(t)
    const { stream, messages, status } = channel.stream(false)
    await peer.next(HEADERS)
    peer.headers(1, okHead)
    peer.data(1, Buffer.concat([framed('a'), framed('b')]))
    peer.trailers(1)
    await roundTrip(peer)
    peer.socket.destroy()
    await channel.connected(2)
    for (const count of [1, 2]) {
      stream.startRead()
      await poll('one is read', () => messages.length === count || undefined)
    }
    assert.deepEqual(await status, { code: 0, details: '' })
  })

  test('waits while the connection is being established', async (t) => {
    const server = await Http2Peer.start(t)
    const channel = new TestChannel(t, server.endpoint)
    const { messages } = channel.stream()
    const peer = await server.connection()
    await peer.next(HEADERS)
    peer.headers(1, okHead)
    peer.data(1, framed('message'))
    await poll('it is there', () => messages.length === 1 || undefined)
  })

  test('with a compressed or truncated message ends with an error', async (t) => {
    const { peer, channel } = await pair(t)
    const compressed = channel.stream()
    const cut = channel.stream()
    await peer.next(HEADERS, 2)
    for (const id of [1, 3]) peer.headers(id, okHead)
    peer.data(1, framed('x', 1))
    assert.match((await compressed.status).details, /compressed/)
    peer.data(3, framed('message').subarray(0, 9))
    peer.trailers(3)
    assert.match((await cut.status).details, /within a message/)
  })
})
