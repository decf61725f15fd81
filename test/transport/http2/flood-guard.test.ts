import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { FloodGuard } from '../../../src/transport/http2/flood-guard.js'

describe('Frames that carry nothing for any call', () => {
  let now = 0

  function guardAt(t: TestContext, ms: number): FloodGuard {
    now = ms
    t.mock.method(performance, 'now', () => now)
    return new FloodGuard()
  }

  function count(guard: FloodGuard, frames: number): void {
    for (let index = 0; index < frames; index += 1) guard.countUseless()
  }

  test('are a flood if 10,000 of them arrive in a row within 10 s, however long the process has run', (t) => {
    const guard = guardAt(t, 3_600_000)
    count(guard, 10_000)
    now += 9_999
    count(guard, 9_999)
    assert.throws(() => guard.countUseless(), /10000 frames in a row/)
  })

  test('are no flood in any number over a longer time', (t) => {
    const guard = guardAt(t, 3_600_000)
    for (let minute = 0; minute < 10; minute += 1) {
      count(guard, 10_000)
      now += 10_001
    }
  })

  test('are no flood between frames for calls', (t) => {
    const guard = guardAt(t, 0)
    for (let round = 0; round < 10; round += 1) {
      count(guard, 9_999)
      guard.reset()
    }
  })
})
