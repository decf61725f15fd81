import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Freshness } from '../../src/informer/freshness.js'
import { within } from '../support/slack.js'

/** A watch whose member answers pings after a delay, or never, on a mocked clock. */
function watchOf(t: TestContext, answersAfterMs: number | undefined) {
  // The timers of the freshness do not hold the process open.
  const open = setInterval(() => {}, 1000)
  t.after(() => clearInterval(open))
  let offsetMs = 0
  const now = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => now() + offsetMs)
  const watch = {
    lastMessageAt: performance.now(),
    pings: 0,
    questions: 0,
    requestProgress(): void {
      watch.questions += 1
    },
    answersAfterMs,
    ping(): void {
      watch.pings += 1
      if (watch.answersAfterMs === undefined) return
      setTimeout(() => {
        watch.lastMessageAt = performance.now()
      }, watch.answersAfterMs)
    },
  }
  const pass = (ms: number): void => {
    offsetMs += ms
  }
  return { watch, freshness: new Freshness(() => watch), pass }
}

describe('The freshness of an informer', () => {
  test('holds while its member was heard recently, without waits or pings', (t) => {
    const { watch, freshness, pass } = watchOf(t, undefined)
    pass(900)
    assert.deepEqual([freshness.confirm(), freshness.isFresh, watch.pings], [undefined, true, 0])
    pass(1000)
    assert.deepEqual([freshness.confirm(), freshness.confirm(), freshness.isFresh], [undefined, undefined, true])
    assert.equal(watch.pings, 1)
  })

  test('is confirmed by one ping after a long silence, for which all reads wait', async (t) => {
    const { watch, freshness, pass } = watchOf(t, 20)
    pass(60_000)
    assert.equal(freshness.isFresh, false)
    const waits = [freshness.confirm(), freshness.confirm()]
    assert.equal(waits[0], waits[1])
    await Promise.all(waits)
    assert.deepEqual([freshness.isFresh, watch.pings, freshness.confirm()], [true, 1, undefined])
  })

  test('is lost when its member is silent; one read waits for that, and pings continue', async (t) => {
    const { watch, freshness, pass } = watchOf(t, undefined)
    pass(3500)
    const startedAt = performance.now()
    await freshness.confirm()
    assert.ok(performance.now() - startedAt < within(2000))
    assert.deepEqual([freshness.isFresh, freshness.confirm(), watch.pings], [false, undefined, 1])
    watch.answersAfterMs = 1
    pass(1000)
    assert.equal(freshness.confirm(), undefined)
    await delay(30)
    assert.deepEqual([freshness.isFresh, watch.pings], [true, 2])
    assert.equal(freshness.confirm(), undefined)
    pass(60_000)
    await freshness.confirm()
    assert.equal(freshness.isFresh, true, 'the next silence is waited for again')
  })

  test('requests progress occasionally while reads show less than the client has seen', (t) => {
    const { watch, freshness, pass } = watchOf(t, undefined)
    for (let count = 0; count < 5; count += 1) freshness.catchUp()
    assert.equal(watch.questions, 1)
    pass(101)
    freshness.catchUp()
    assert.equal(watch.questions, 2)
  })

  test('is lost without a watch', async (t) => {
    const { freshness: watched } = watchOf(t, undefined)
    assert.equal(watched.isFresh, true)
    const freshness = new Freshness(() => undefined)
    await freshness.confirm()
    assert.equal(freshness.isFresh, false)
  })
})
