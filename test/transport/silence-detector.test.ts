import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Patience } from '../../src/transport/connection/patience.js'
import { SilenceDetector, type Verdict } from '../../src/transport/connection/silence-detector.js'

/** The verdict of each tick with the counters of `traffic`. */
function verdicts(
  ticks: number,
  traffic: (tick: number) => { readonly read?: number; readonly unsent?: number; readonly answered?: boolean },
  factor = 1,
  extraTicks = 0,
): readonly Verdict[] {
  const signs = new SilenceDetector()
  const patience = new Patience()
  for (let verdict = 1; verdict < factor; verdict *= 2) patience.exhausted()
  return Array.from({ length: ticks }, (_, tick) => {
    const { read = 0, unsent = 0, answered = false } = traffic(tick)
    if (answered) signs.answered()
    const hasSign = signs.sample({ bytesRead: read, bytesUnsent: unsent, maxStreams: Number.POSITIVE_INFINITY })
    return signs.tick(hasSign, extraTicks, patience.factor)
  })
}

describe('A member with a response due', () => {
  test('is probed after 300 ms of silence, and unresponsive after 700 ms', () => {
    const expected = ['wait', 'wait', 'probe', 'wait', 'wait', 'wait', 'unresponsive']
    assert.deepEqual(
      verdicts(7, () => ({})),
      expected,
    )
  })

  test('is given twice the time after a member was found unresponsive, up to 16 times', () => {
    const silence = (factor: number): readonly Verdict[] => verdicts(120, () => ({}), factor)
    assert.deepEqual([silence(2).indexOf('probe'), silence(2).indexOf('unresponsive')], [5, 13])
    assert.equal(silence(16).indexOf('unresponsive'), 111)
    assert.equal(silence(1024).indexOf('unresponsive'), 111)
  })

  test('is probed before it is unresponsive, also if the patience shrinks meanwhile', () => {
    const signs = new SilenceDetector()
    const seen = Array.from({ length: 14 }, (_, tick) => {
      signs.sample({ bytesRead: 0, bytesUnsent: 0, maxStreams: Number.POSITIVE_INFINITY })
      return signs.tick(false, 0, tick < 5 ? 2 : 1)
    })
    assert.deepEqual([seen.indexOf('probe'), seen.indexOf('unresponsive')], [5, 13])
  })

  test('is not unresponsive while a response arrives, however long that takes', () => {
    const slow = verdicts(1000, (tick) => ({ read: tick * 1000 }))
    assert.equal(slow.includes('unresponsive'), false)
    assert.equal(slow.filter((verdict) => verdict === 'probe').length, 100)
  })

  test('is not unresponsive while the network accepts a large request', () => {
    const seconds = verdicts(45, (tick) => ({ unsent: 1_000_000 - tick * 20_000 }))
    assert.equal(seconds.includes('unresponsive'), false)
  })

  test('is unresponsive although the socket buffer accepts small requests', () => {
    const idle = verdicts(7, (tick) => ({ unsent: tick % 2 === 0 ? 100 : 0 }))
    assert.equal(idle.at(-1), 'unresponsive')
  })

  test('is unresponsive if the bytes stop in the middle of a response', () => {
    const cut = verdicts(50, (tick) => ({ read: Math.min(tick, 30) * 50_000 }))
    assert.equal(cut.indexOf('unresponsive'), 37)
  })

  test('is unresponsive after 5 s of control frames without a response', () => {
    const stuck = verdicts(60, (tick) => ({ read: tick * 30 }))
    assert.equal(stuck.indexOf('unresponsive'), 49)
  })

  test('is given more time if it is distant', () => {
    assert.equal(verdicts(20, () => ({}), 1, 5).indexOf('unresponsive'), 11)
    const stuck = verdicts(80, (tick) => ({ read: tick * 30 }), 1, 10)
    assert.equal(stuck.indexOf('unresponsive'), 59)
  })

  test('is unresponsive although the requests that wait to be sent become more', () => {
    assert.equal(verdicts(7, (tick) => ({ unsent: (tick + 1) * 100_000 })).at(-1), 'unresponsive')
  })

  test('is unresponsive if only control frames follow a large response', () => {
    const stuck = verdicts(70, (tick) => ({ read: Math.min(tick, 4) * 100_000 + tick * 30, answered: tick === 5 }))
    assert.equal(stuck.indexOf('unresponsive'), 54)
  })

  test('is not unresponsive while it responds to some calls', () => {
    const busy = verdicts(500, (tick) => ({ read: tick * 30, answered: tick % 10 === 0 }))
    assert.equal(busy.includes('unresponsive'), false)
  })

  test('is not unresponsive because the counters restart with a new connection', () => {
    const moved = verdicts(12, (tick) => ({ read: tick < 5 ? 1000 + tick : tick }))
    assert.equal(moved.includes('unresponsive'), false)
  })
})
