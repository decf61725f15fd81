import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { CallListener, CallStatus } from '../../../src/transport/channel.js'
import { DeadlineClock } from '../../../src/transport/deadline-clock.js'
import { flags, frameTypes } from '../../../src/transport/http2/frame.js'
import { HpackEncoder } from '../../../src/transport/http2/hpack/encoder.js'
import type { HeaderField } from '../../../src/transport/http2/hpack/header-field.js'
import { type ConnectionInit, Http2Connection } from '../../../src/transport/http2/http2-connection.js'
import { MessageAssembler } from '../../../src/transport/http2/message-assembler.js'
import { MessageStream } from '../../../src/transport/http2/message-stream.js'
import { UnaryCall } from '../../../src/transport/http2/unary-call.js'
import { framed } from '../../support/grpc-server.js'
import { frameBytes, okHead, okTrailers, settingsBytes, uint32 } from '../../support/http2-peer.js'

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } = frameTypes
const { END_STREAM, END_HEADERS, PADDED } = flags

/** A fake socket whose bytes come from the test. */
class FakeSocket extends EventEmitter {
  readonly connecting = false
  readonly writable = true
  readonly writableLength = 0
  destroyed = false
  written = 0

  write(bytes: Buffer): boolean {
    this.written += bytes.length
    return true
  }

  cork(): void {}

  uncork(): void {}

  destroy(): void {
    this.destroyed = true
  }
}

/** The outcome of one call or stream. */
interface Result {
  readonly messages: string[]
  readonly statuses: CallStatus[]
}

const calls = 3
const settings = {
  transport: 'http2',
  keepaliveMs: 10_000,
  keepaliveTimeoutMs: 5000,
  useProxyEnvironment: false,
  servername: undefined,
} as const

/** Starts some calls and one stream on a connection that receives `chunks`, and then the end. */
function converse(chunks: readonly Buffer[]): {
  readonly results: Result[]
  readonly reasons: (string | undefined)[]
  readonly writtenBytes: number
} {
  const socket = new FakeSocket()
  let read: (chunk: Buffer, length: number) => void = () => {}
  const dial: ConnectionInit['dial'] = (onBytes) => {
    read = onBytes
    // The connection uses no more of a socket.
    return socket as unknown as Socket
  }
  const deadlines = new DeadlineClock()
  const reasons: (string | undefined)[] = []
  const connection = new Http2Connection(
    { dial, headers: [[':method', 'POST']], settings, deadlines },
    { onConnected() {}, onDraining() {}, onLost: (_, reason) => reasons.push(reason) },
  )
  const results: Result[] = []
  const listener = (onMessage: () => void): CallListener => {
    const result: Result = { messages: [], statuses: [] }
    results.push(result)
    return {
      onReceiveMetadata() {},
      onReceiveMessage(message) {
        result.messages.push(`${message.length}:${message.toString('latin1', 0, 20)}`)
        onMessage()
      },
      onReceiveStatus: (status) => result.statuses.push(status),
    }
  }
  socket.emit('connect')
  const deadlineAt = performance.now() + 10_000
  for (let index = 0; index < calls; index += 1) {
    const call = new UnaryCall(
      connection,
      deadlineAt,
      listener(() => {}),
    )
    connection.start(call, { path: '/a/b', metadata: {}, deadlineAt, message: Buffer.alloc(20_000 * index) })
  }
  const stream = new MessageStream(
    connection,
    listener(() => stream.startRead()),
  )
  connection.start(stream, { path: '/a/c', metadata: {}, deadlineAt: Number.POSITIVE_INFINITY, message: undefined })
  stream.startRead()
  const memory = Buffer.alloc(whole.length + 1000)
  for (const chunk of chunks) {
    // The read buffer of a socket is reused.
    memory.fill(0xee, 0, 100)
    chunk.copy(memory)
    read(memory, chunk.length)
  }
  socket.emit('close')
  deadlines.stop()
  return { results, reasons, writtenBytes: socket.written }
}

/** The responses, with everything in them that a peer may send. */
function conversation(): Buffer {
  const encoder = new HpackEncoder(() => false)
  const block = (fields: readonly HeaderField[]): Buffer => encoder.encode(fields)
  const large = framed(Buffer.alloc(20_000, 'large'))
  const limits = settingsBytes([
    [3, 100],
    [4, 1_000_000],
  ])
  const failure: readonly HeaderField[] = [...okHead, ['grpc-status', '5'], ['grpc-message', 'no %E2%82%AC']]
  const parts = [
    frameBytes(SETTINGS, 0, 0, limits),
    frameBytes(SETTINGS, flags.ACK, 0),
    frameBytes(WINDOW_UPDATE, 0, 0, uint32(1_000_000)),
    frameBytes(HEADERS, END_HEADERS, 3, block([[':status', '103']])),
    frameBytes(HEADERS, END_HEADERS, 1, block(okHead)),
    frameBytes(PING, 0, 0, Buffer.from('pingping')),
    frameBytes(DATA, PADDED, 1, Buffer.concat([Buffer.from([7]), framed('small'), Buffer.alloc(7)])),
  ]
  const inPieces = block(okHead)
  parts.push(
    frameBytes(HEADERS, 0, 3, inPieces.subarray(0, 1)),
    frameBytes(CONTINUATION, END_HEADERS, 3, inPieces.subarray(1)),
    frameBytes(DATA, 0, 3, large.subarray(0, 16_384)),
    frameBytes(HEADERS, END_HEADERS | END_STREAM, 1, block(okTrailers)),
    frameBytes(PRIORITY, 0, 5, Buffer.alloc(5)),
    frameBytes(DATA, 0, 3, large.subarray(16_384)),
    frameBytes(HEADERS, END_HEADERS, 7, block(okHead)),
    frameBytes(DATA, 0, 7, Buffer.concat([framed('one'), framed(''), framed('three').subarray(0, 4)])),
    frameBytes(0x77, 0xff, 0, Buffer.from('unknown')),
    frameBytes(HEADERS, END_HEADERS | END_STREAM, 3, block(okTrailers)),
    frameBytes(DATA, 0, 7, framed('three').subarray(4)),
    frameBytes(HEADERS, END_HEADERS | END_STREAM, 5, block(failure)),
    frameBytes(GOAWAY, 0, 0, uint32(7, 0)),
    frameBytes(HEADERS, END_HEADERS | END_STREAM, 7, block(okTrailers)),
    frameBytes(RST_STREAM, 0, 7, uint32(0)),
  )
  return Buffer.concat(parts)
}

const whole = conversation()

/** The bytes, split at these positions. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % bytes.length))].sort((a, b) => a - b)
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
}

describe('The bytes of a connection', () => {
  test('have the same result however they are split into chunks', () => {
    const { results } = converse([whole])
    assert.deepEqual(results, [
      { messages: ['5:small'], statuses: [{ code: 0, details: '' }] },
      { messages: ['20000:largelargelargelarge'], statuses: [{ code: 0, details: '' }] },
      { messages: [], statuses: [{ code: 5, details: 'no €' }] },
      { messages: ['3:one', '0:', '5:three'], statuses: [{ code: 0, details: '' }] },
    ])
    const single = Array.from(whole, (byte) => Buffer.from([byte]))
    assert.deepEqual(converse(single).results, results)
    fc.assert(
      fc.property(fc.array(fc.nat({ max: whole.length - 1 }), { maxLength: 60 }), (places) => {
        assert.deepEqual(converse(cut(whole, places)).results, results)
      }),
      { numRuns: 300 },
    )
  })

  const change = fc.record({
    at: fc.oneof(fc.nat({ max: 700 }), fc.nat({ max: whole.length - 1 })),
    removed: fc.nat({ max: 12 }),
    inserted: fc.uint8Array({ maxLength: 12 }),
  })

  test('end every call exactly once with a status and a reason, whatever was changed in them', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat({ max: 5000 }), (changes, chunkBytes) => {
        let bytes = whole
        for (const { at, removed, inserted } of changes) {
          bytes = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)])
        }
        const places = Array.from({ length: 20 }, (_, index) => index * (chunkBytes + 1))
        const { results, reasons, writtenBytes } = converse(cut(bytes, places))
        assert.equal(reasons.length, 1)
        assert.ok(writtenBytes < 100_000, `${writtenBytes} bytes were written`)
        for (const { statuses, messages } of results) {
          assert.equal(statuses.length, 1)
          assert.ok(Number.isInteger(statuses[0]?.code))
          assert.ok(messages.length <= 10)
        }
      }),
      { numRuns: 1500 },
    )
  })

  test('end every call if they are random after SETTINGS', () => {
    const begin = frameBytes(SETTINGS, 0, 0)
    const type = fc.nat({ max: 11 })
    const frame = fc
      .tuple(type, fc.nat({ max: 255 }), fc.nat({ max: 9 }), fc.uint8Array({ maxLength: 20 }))
      .map(([kind, frameFlags, streamId, payload]) => frameBytes(kind, frameFlags, streamId, payload))
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 30 }), (frames) => {
        const { results, reasons } = converse([begin, ...frames])
        assert.equal(reasons.length, 1)
        assert.ok(results.every(({ statuses }) => statuses.length === 1))
      }),
      { numRuns: 3000 },
    )
  })

  test('takes memory for a message as its bytes come, whatever length its prefix announces', () => {
    const before = process.memoryUsage().arrayBuffers
    const assemblers = Array.from({ length: 8 }, () => new MessageAssembler())
    const start = Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), Buffer.alloc(1000)])
    for (const assembler of assemblers) {
      assert.equal(assembler.push(start, 0), start.length)
      assert.equal(assembler.take(), undefined)
      assert.ok(assembler.isWithinMessage)
    }
    const tookBytes = process.memoryUsage().arrayBuffers - before
    assert.ok(tookBytes < assemblers.length * 5_000_000, `${tookBytes} bytes`)
  })
})
