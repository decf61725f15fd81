import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Repetition } from '../../src/core/repetition.js'

/** When the runs of a repetition happen, in milliseconds, with these random numbers. */
function runs(t: import('node:test').TestContext, intervalMs: number, randoms: readonly number[]): readonly number[] {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const at: number[] = []
  let [now, drawn] = [0, 0]
  const random = (): number => randoms[drawn++ % randoms.length] ?? 0
  const repetition = new Repetition(intervalMs, () => at.push(now), random)
  for (now = 1; now <= intervalMs * 4; now += 1) t.mock.timers.tick(1)
  repetition.stop()
  t.mock.timers.tick(intervalMs * 2)
  return at
}

describe('A repetition', () => {
  test('runs after 80 to 120 % of its interval, drawn for each run', (t) => {
    assert.deepEqual(runs(t, 1000, [0, 1, 0.5]), [800, 2000, 3000, 3800])
  })

  test('of clients that start together drifts apart', (t) => {
    const starts = Array.from({ length: 100 }, (_, index) => {
      t.mock.timers.reset()
      return runs(t, 100, [(index * 0.37) % 1, (index * 0.73) % 1])[1]
    })
    assert.ok(new Set(starts).size > 20, 'their second runs are spread over the interval')
  })

  test('ends when its task stops it, and does not hold the process open', (t) => {
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    const idle = new Repetition(60_000, () => {})
    assert.equal(timers(), before)
    idle.stop()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    let count = 0
    const repetition = new Repetition(1000, () => {
      count += 1
      repetition.stop()
    })
    for (let second = 0; second < 10; second += 1) t.mock.timers.tick(1000)
    assert.equal(count, 1)
  })
})
