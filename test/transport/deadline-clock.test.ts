import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
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

/** A clock whose time a test decides, and what it has expired. */
function clockOf(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  const clock = new DeadlineClock()
  const expired: number[] = []
  const add = (deadlineAt: number): { readonly deadlineAt: number; expire(): void } => {
    const item = {
      deadlineAt,
      expire(): void {
        expired.push(deadlineAt)
        clock.delete(item)
      },
    }
    clock.add(item)
    return item
  }
  const pass = (ms: number): void => {
    now += ms
    t.mock.timers.tick(ms)
  }
  return { clock, expired, add, pass }
}

test('Calls expire at their deadlines, in any order, and not after they have ended', (t) => {
  const { clock, expired, add, pass } = clockOf(t)
  const ended = add(1300)
  for (const deadlineAt of [1500, 1200, 1400, Number.POSITIVE_INFINITY]) add(deadlineAt)
  pass(199)
  assert.deepEqual(expired, [])
  clock.delete(ended)
  for (const count of [1, 1, 2, 3]) {
    pass(1)
    assert.equal(expired.length, count, `${expired}`)
    pass(99)
  }
  add(1700)
  pass(200)
  assert.deepEqual(expired, [1200, 1400, 1500, 1700])
})

test('A stopped clock expires nothing', (t) => {
  const { clock, expired, add, pass } = clockOf(t)
  add(1100)
  clock.stop()
  pass(1000)
  assert.deepEqual(expired, [])
})

test('A clock holds the process open while there are calls', (t) => {
  const clock = new DeadlineClock()
  t.after(() => clock.stop())
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  const call = { deadlineAt: performance.now() + 60_000, expire() {} }
  for (const round of [1, 2]) {
    clock.add(call)
    assert.equal(timers(), before + 1, `with a call, ${round}`)
    clock.delete(call)
    assert.equal(timers(), before, `without a call, ${round}`)
  }
})
