import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longestTimerMs } from '../../src/core/abort.js'
import { DeadlineClock } from '../../src/transport/deadline-clock.js'

test('An infinite deadline sets no timer above the limit of Node', (t) => {
  const delays: number[] = []
  t.mock.method(globalThis, 'setTimeout', (_: unknown, ms: number) => {
    delays.push(ms)
    return { ref() {}, unref() {} }
  })
  t.mock.method(globalThis, 'clearTimeout', () => {})
  let now = 1
  t.mock.method(performance, 'now', () => now)
  for (; now < 1e6; now += 997.3) {
    new DeadlineClock().add({ deadlineAt: Number.POSITIVE_INFINITY, expire() {} })
  }
  assert.ok(delays.length > 1000 && delays.every((ms) => ms <= longestTimerMs))
})
