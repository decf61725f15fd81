import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { ConnectAttempts } from '../../src/transport/connect-attempts.js'

class Attempt {
  isClosed = false
  close(): void {
    this.isClosed = true
  }
}

interface Started {
  readonly attempts: ConnectAttempts<Attempt>
  readonly made: Attempt[]
  readonly reasons: (string | undefined)[]
}

function start(t: TestContext, failures = 0): Started {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const made: Attempt[] = []
  const reasons: (string | undefined)[] = []
  const open = (): Attempt => {
    const attempt = new Attempt()
    made.push(attempt)
    return attempt
  }
  const attempts = new ConnectAttempts(open, { onFailed: (reason) => reasons.push(reason) }, failures)
  t.after(() => attempts.close())
  return { attempts, made, reasons }
}

function at<T>(items: readonly T[], index: number): T {
  return items[index] ?? assert.fail(`there is no item ${index}`)
}

describe('Attempts to connect', () => {
  test('are repeated after a backoff', (t) => {
    const { attempts, made, reasons } = start(t)
    assert.equal(attempts.lost(at(made, 0), 'refused'), true)
    assert.deepEqual([made.length, reasons, attempts.failures], [1, ['refused'], 1])
    t.mock.timers.tick(100)
    assert.equal(made.length, 2)
    attempts.lost(at(made, 1), 'refused')
    t.mock.timers.tick(200)
    assert.equal(made.length, 3)
  })

  test('start after a backoff if earlier attempts failed', (t) => {
    const { made } = start(t, 3)
    assert.equal(made.length, 0)
    t.mock.timers.tick(400)
    assert.equal(made.length, 1)
  })

  test('are hedged every 3 s; the first may take 24 s', (t) => {
    const { made } = start(t)
    for (let second = 0; second < 23; second += 1) t.mock.timers.tick(1000)
    assert.equal(made.length, 8)
    const closed = (): boolean[] => made.map(({ isClosed }) => isClosed)
    assert.deepEqual(closed(), [false, true, true, true, true, true, true, false])
    t.mock.timers.tick(1000)
    assert.deepEqual(closed(), [true, true, true, true, true, true, true, false, false])
  })

  test('go on with the newest one when the oldest one is lost', (t) => {
    const { attempts, made, reasons } = start(t)
    t.mock.timers.tick(3000)
    assert.equal(attempts.lost(at(made, 0), 'refused'), true)
    assert.deepEqual([attempts.failures, reasons.length], [0, 1])
    t.mock.timers.tick(2999)
    assert.equal(made.length, 2)
    assert.equal(attempts.connected(at(made, 1)), true)
  })

  test('do not hold the process open', (t) => {
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    for (const failures of [0, 1]) {
      const attempts = new ConnectAttempts(() => new Attempt(), { onFailed() {} }, failures)
      t.after(() => attempts.close())
      assert.equal(timers(), before, `after ${failures} failures`)
    }
  })

  test('end when the oldest or the newest one succeeds', (t) => {
    const first = start(t)
    t.mock.timers.tick(3000)
    assert.equal(first.attempts.connected(at(first.made, 0)), true)
    assert.deepEqual(
      first.made.map(({ isClosed }) => isClosed),
      [false, true],
    )
    t.mock.timers.tick(60_000)
    assert.equal(first.made.length, 2)
    t.mock.timers.reset()

    const last = start(t)
    t.mock.timers.tick(3000)
    assert.equal(last.attempts.connected(at(last.made, 1)), true)
    assert.deepEqual(
      last.made.map(({ isClosed }) => isClosed),
      [true, false],
    )
  })

  test('ignore connections that are not theirs or have ended', (t) => {
    const { attempts, made } = start(t)
    assert.equal(attempts.connected(new Attempt()), false)
    assert.equal(attempts.lost(new Attempt(), 'other'), false)
    attempts.close()
    assert.equal(at(made, 0).isClosed, true)
    assert.equal(attempts.lost(at(made, 0), 'late'), false)
    t.mock.timers.tick(60_000)
    assert.equal(made.length, 1)
  })
})
