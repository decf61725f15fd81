import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fullJitterMs, halfJitterMs } from '../../src/core/backoff.js'

describe('A backoff', () => {
  const backoff = { baseMs: 25, maxMs: 500 }

  test('doubles its bound with each attempt, up to its maximum, for any number of attempts', () => {
    const bounds = [1, 2, 3, 4, 5, 6, 7, 1000, 1e9].map((attempt) => fullJitterMs(attempt, backoff, () => 1))
    assert.deepEqual(bounds, [25, 50, 100, 200, 400, 500, 500, 500, 500])
  })

  test('has full jitter, or half jitter for waits that must not be skipped', () => {
    assert.deepEqual(
      [0, 0.5, 1].map((random) => fullJitterMs(2, backoff, () => random)),
      [0, 25, 50],
    )
    assert.deepEqual(
      [0, 0.5, 1].map((random) => halfJitterMs(2, backoff, () => random)),
      [25, 37.5, 50],
    )
  })
})
