import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { TickClock } from '../../src/transport/connection/tick-clock.js'

function startedClock(t: TestContext) {
  const seen = { ticks: 0, isNeeded: true }
  let nowMs = 1000
  let fire: (() => void) | undefined
  t.mock.method(performance, 'now', () => nowMs)
  t.mock.method(globalThis, 'setInterval', (callback: () => void) => {
    fire = callback
    return { unref() {} }
  })
  t.mock.method(globalThis, 'clearInterval', () => {
    fire = undefined
  })
  const clock = new TickClock(
    () => seen.isNeeded,
    () => (seen.ticks += 1),
  )
  clock.start()
  return {
    clock,
    seen,
    get isRunning(): boolean {
      return fire !== undefined
    },
    /** The timer fires when `ms` have passed. */
    after(ms: number): void {
      nowMs += ms
      fire?.()
    },
  }
}

test('A clock judges no member by a tick that the process itself has delayed', (t) => {
  const timed = startedClock(t)
  timed.after(100)
  assert.equal(timed.seen.ticks, 1)
  timed.after(300)
  assert.equal(timed.seen.ticks, 1)
  timed.after(100)
  assert.equal(timed.seen.ticks, 2)
})

test('A clock stops when nothing is waited for, and starts again', (t) => {
  const timed = startedClock(t)
  timed.seen.isNeeded = false
  timed.after(100)
  assert.deepEqual([timed.isRunning, timed.seen.ticks], [false, 0])
  timed.seen.isNeeded = true
  timed.clock.start()
  timed.after(100)
  assert.deepEqual([timed.isRunning, timed.seen.ticks], [true, 1])
})
