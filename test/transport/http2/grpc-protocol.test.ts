import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { timeoutHeader } from '../../../src/transport/http2/grpc-protocol.js'

describe('The grpc-timeout header', () => {
  test('is rounded up to two digits, in the smallest unit that fits', () => {
    const texts: [number, string | undefined][] = [
      [-5, '1m'],
      [0.2, '1m'],
      [9.1, '10m'],
      [99.5, '100m'],
      [100, '100m'],
      [101, '110m'],
      [9987, '10000m'],
      [10_000, '10000m'],
      [99_000_000, '99000000m'],
      [99_999_999, '100000S'],
      [1e14, '27777778H'],
      [Number.POSITIVE_INFINITY, undefined],
    ]
    for (const [waitMs, text] of texts) assert.equal(timeoutHeader(waitMs).text, text, String(waitMs))
  })

  test('is used for timeouts up to its value, and above that of the next smaller header', () => {
    for (const waitMs of [1, 3.5, 42, 99.9, 100, 5000, 9999, 10_000, 86_400_000, Number.POSITIVE_INFINITY]) {
      const { text, overMs, maxMs } = timeoutHeader(waitMs)
      assert.ok(waitMs > overMs && waitMs <= maxMs, String(waitMs))
      assert.ok(maxMs - overMs <= Math.max(1, waitMs / 10), `${waitMs}: a member works on a shorter call for too long`)
      assert.equal(timeoutHeader(maxMs).text, text)
      if (overMs >= 1 && text !== undefined) assert.notEqual(timeoutHeader(overMs).text, text)
    }
  })
})
