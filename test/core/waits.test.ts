import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import { onAbort } from '../../src/core/abort.js'
import { DeadlineScope } from '../../src/core/deadline-scope.js'
import { Emitter } from '../../src/core/emitter.js'
import { EtcdError } from '../../src/core/errors.js'
import { sleep, timeLeft, waitWithin } from '../../src/core/wait.js'
import { Waiters } from '../../src/core/waiter.js'
import { FakeClock } from '../support/fake-clock.js'

const noLeader = new EtcdError('no leader', { code: 'NO_LEADER', effect: 'none', retryable: true })
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

/** Errors that nothing handles, until the end of the test. */
function unhandled(t: TestContext, event: 'unhandledRejection' | 'uncaughtException'): unknown[] {
  const errors: unknown[] = []
  const others = process.listeners(event as 'uncaughtException')
  process.removeAllListeners(event)
  process.on(event, (error: unknown) => errors.push(error))
  t.after(() => {
    process.removeAllListeners(event)
    for (const listener of others) process.on(event as 'uncaughtException', listener)
  })
  return errors
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('A wait', () => {
  test('leaves neither timer nor listener, however it ends', async (t) => {
    const clock = new FakeClock(t)
    const { signal } = new AbortController()
    const bounds = { signal, timeoutMs: 1000 }
    assert.equal(await waitWithin(Promise.resolve(7), bounds, () => noLeader), 7)
    assert.deepEqual([clock.timers, listeners(signal)], [0, 0])
    const late = waitWithin(new Promise(() => {}), bounds, () => noLeader)
    const rejected = assert.rejects(late, noLeader)
    await clock.advance(1000)
    await rejected
    assert.deepEqual([clock.timers, listeners(signal)], [0, 0])
    const waking = new AbortController()
    const slept = sleep(5000, signal, waking.signal)
    waking.abort()
    await slept
    const other = new AbortController()
    const awake = sleep(5, signal, other.signal)
    await clock.advance(5)
    await awake
    assert.deepEqual([clock.timers, listeners(signal), listeners(other.signal)], [0, 0, 0])
  })

  test('ignores what happens after its end', async (t) => {
    const rejections = unhandled(t, 'unhandledRejection')
    let fail = (_: Error): void => {}
    const shared = new Promise((_, reject) => {
      fail = reject
    })
    await assert.rejects(
      waitWithin(shared, { timeoutMs: 1 }, () => noLeader),
      noLeader,
    )
    fail(new Error('too late'))
    await turn()
    assert.deepEqual(rejections, [])
  })

  test('has no timer if its limit is beyond those of timers', async (t) => {
    const clock = new FakeClock(t)
    const waiters = new Waiters<number>()
    const waiting = waiters.wait(undefined, { timeoutMs: 1e12 })
    assert.equal(clock.timers, 0)
    for (const [waiter] of waiters) waiter.resolve(7)
    assert.deepEqual([await waiting, waiters.size], [7, 0])
  })

  test('counts the time that is left down to 0', (t) => {
    const clock = new FakeClock(t)
    const left = timeLeft(100)
    clock.block(30)
    assert.equal(left(), 70)
    clock.block(300)
    assert.equal(left(), 0)
    assert.equal(timeLeft(undefined)(), undefined)
  })

  test('begins with a signal that has aborted', () => {
    const reasons: unknown[] = []
    const reason = new Error('enough')
    onAbort(AbortSignal.abort(reason), (given) => reasons.push(given))()
    assert.deepEqual(reasons, [reason])
  })
})

describe('A deadline of several calls', () => {
  test('has the obstacle as its cause, or else the last failure that was not followed by a success', async (t) => {
    const clock = new FakeClock(t)
    const causeOf = async (
      calls: readonly ((signal: AbortSignal) => unknown)[],
      obstacle?: EtcdError,
    ): Promise<unknown> => {
      const scope = new DeadlineScope({ timeoutMs: 10_000 }, 'too slow', () => obstacle)
      const running = (async () => {
        for (const call of calls) await scope.repeat(async (signal) => call(signal))
      })()
      const rejected = assert.rejects(running, (error: EtcdError) => error.code === 'DEADLINE_EXCEEDED')
      await clock.advance(10_000)
      await rejected
      scope.end()
      return scope.signal.reason.cause
    }
    const failing = (): never => {
      throw noLeader
    }
    let calls = 0
    const failingOnce = (): void => {
      calls += 1
      if (calls === 1) throw noLeader
    }
    const waiting = (signal: AbortSignal) => sleep(60_000, signal)
    const refused = new EtcdError('refused', { code: 'NOT_CONNECTED', effect: 'none' })
    assert.equal(await causeOf([failing]), noLeader)
    assert.equal(await causeOf([failing], refused), refused)
    assert.equal(await causeOf([failingOnce, waiting]), undefined)
    assert.equal(clock.timers, 0)
  })

  test('leaves neither timer nor listener, and repeats no permanent failure', async (t) => {
    const clock = new FakeClock(t)
    const { signal } = new AbortController()
    const scope = new DeadlineScope({ signal, timeoutMs: 10_000 }, 'too slow', () => undefined)
    const denied = new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' })
    await assert.rejects(
      scope.repeat(() => Promise.reject(denied)),
      denied,
    )
    assert.deepEqual([clock.timers, listeners(signal)], [1, 1])
    scope.end()
    assert.deepEqual([clock.timers, listeners(signal)], [0, 0])
  })
})

describe('A listener that throws', () => {
  test('affects no other listener, and its error is an uncaught exception', async (t) => {
    const errors = unhandled(t, 'uncaughtException')
    const emitter = new Emitter<{ done: object }>()
    const error = new Error('a fault of the listener')
    const payloads: object[] = []
    emitter.on('done', () => {
      throw error
    })
    const remove = emitter.on('done', (payload) => payloads.push(payload))
    emitter.emit('done', { count: 1 })
    remove()
    emitter.emit('done', { count: 2 })
    await turn()
    assert.deepEqual([payloads, errors], [[{ count: 1 }], [error, error]])
  })
})
