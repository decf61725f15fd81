import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SilenceDetector, type Verdict } from '../../src/transport/connection/silence-detector.js'

/** What is decided in each tick, for which `traffic` gives the counters. */
function verdicts(
  ticks: number,
  traffic: (tick: number) => { readonly read?: number; readonly unsent?: number; readonly answered?: boolean },
): readonly Verdict[] {
  const signs = new SilenceDetector()
  return Array.from({ length: ticks }, (_, tick) => {
    const { read = 0, unsent = 0, answered = false } = traffic(tick)
    if (answered) signs.answered()
    const hasSign = signs.sample({ bytesRead: read, bytesUnsent: unsent, maxStreams: Number.POSITIVE_INFINITY })
    return signs.tick(hasSign, 0)
  })
}

describe('A member from which an answer is due', () => {
  test('is asked after 300 ms of silence, and given up after 700 ms', () => {
    const expected = ['wait', 'wait', 'probe', 'wait', 'wait', 'wait', 'unresponsive']
    assert.deepEqual(
      verdicts(7, () => ({})),
      expected,
    )
  })

  test('is never given up while an answer arrives, however long that takes', () => {
    const slow = verdicts(1000, (tick) => ({ read: tick * 1000 }))
    assert.equal(slow.includes('unresponsive'), false)
    assert.equal(slow.filter((verdict) => verdict === 'probe').length, 100)
  })

  test('is never given up while the network takes a large request', () => {
    const seconds = verdicts(45, (tick) => ({ unsent: 1_000_000 - tick * 20_000 }))
    assert.equal(seconds.includes('unresponsive'), false)
  })

  test('is given up although the system takes what little is sent to it', () => {
    const idle = verdicts(7, (tick) => ({ unsent: tick % 2 === 0 ? 100 : 0 }))
    assert.equal(idle.at(-1), 'unresponsive')
  })

  test('is given up when the bytes stop in the middle of an answer', () => {
    const cut = verdicts(50, (tick) => ({ read: Math.min(tick, 30) * 50_000 }))
    assert.equal(cut.indexOf('unresponsive'), 37)
  })

  test('is given up after five seconds in which it sent pings and windows but no answer', () => {
    const stuck = verdicts(60, (tick) => ({ read: tick * 30 }))
    assert.equal(stuck.indexOf('unresponsive'), 49)
  })

  test('is not given up while it answers, although others wait longer', () => {
    const busy = verdicts(500, (tick) => ({ read: tick * 30, answered: tick % 10 === 0 }))
    assert.equal(busy.includes('unresponsive'), false)
  })

  test('is not given up because a new connection counts from the start', () => {
    const moved = verdicts(12, (tick) => ({ read: tick < 5 ? 1000 + tick : tick }))
    assert.equal(moved.includes('unresponsive'), false)
  })
})
