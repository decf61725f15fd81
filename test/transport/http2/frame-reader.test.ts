import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { flags, frameTypes } from '../../../src/transport/http2/frame.js'
import { FrameReader } from '../../../src/transport/http2/frame-reader.js'
import { frameBytes } from '../../support/http2-peer.js'

function read(...frames: readonly Buffer[]): unknown[][] {
  const events: unknown[][] = []
  const reader = new FrameReader({
    onFrame: (type, _, streamId, payload) => events.push(['frame', type, streamId, payload.length]),
    onDataStart: (streamId, flowBytes) => events.push(['start', streamId, flowBytes]),
    onData: (bytes) => events.push(['data', bytes.toString()]),
    onDataEnd: (endsStream, paddingBytes) => events.push(['end', endsStream, paddingBytes]),
  })
  for (const frame of frames) reader.read(frame, frame.length)
  return events
}

describe('A frame', () => {
  const { DATA, HEADERS } = frameTypes

  test('counts against the windows with its padding and the length of that', () => {
    const padded = Buffer.concat([Buffer.from([3]), Buffer.from('body'), Buffer.alloc(3)])
    assert.deepEqual(read(frameBytes(DATA, flags.PADDED | flags.END_STREAM, 1, padded)), [
      ['start', 1, 8],
      ['data', 'body'],
      ['end', true, 4],
    ])
    assert.deepEqual(read(frameBytes(DATA, 0, 3, Buffer.from('body'))).at(-1), ['end', false, 0])
  })

  test('has at most 16,384 bytes', () => {
    assert.deepEqual(read(frameBytes(HEADERS, 0, 1, Buffer.alloc(16_384))), [['frame', HEADERS, 1, 16_384]])
    for (const length of [16_385, 0x1_0005, 0xff_ffff]) {
      assert.throws(() => read(frameBytes(HEADERS, 0, 1, Buffer.alloc(0), length)), /FRAME_SIZE_ERROR/, `${length}`)
    }
  })

  test('has a stream ID of 31 bits, whatever the reserved bit is', () => {
    assert.deepEqual(read(frameBytes(HEADERS, 0, 0x8000_0005)), [['frame', HEADERS, 5, 0]])
  })
})
