import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { RevisionWaiters } from '../../src/informer/revision-waiters.js'

function createWaiters(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  const calls: string[] = []
  const waiters = new RevisionWaiters(
    () => calls.push('ask'),
    () => calls.push('probe'),
  )
  return { waiters, calls }
}

describe('Waiters for a revision', () => {
  test('resolve when their revision is reached', async (t) => {
    const { waiters } = createWaiters(t)
    const order: number[] = []
    const waits = [7, 5].map((revision) => waiters.wait(revision, 1000, undefined).then(() => order.push(revision)))
    waiters.advanced(4)
    waiters.advanced(5)
    await waits[1]
    waiters.advanced(9)
    await waits[0]
    assert.deepEqual(order, [5, 7])
  })

  test('request progress at once and every 100 ms until none is left', async (t) => {
    const { waiters, calls } = createWaiters(t)
    const wait = waiters.wait(5, 10_000, undefined)
    assert.deepEqual(calls, ['ask'])
    t.mock.timers.tick(250)
    assert.deepEqual(calls, ['ask', 'ask', 'ask'])
    const longer = waiters.wait(6, 10_000, undefined)
    waiters.advanced(5)
    await wait
    t.mock.timers.tick(150)
    assert.equal(calls.length, 5, 'another one waits')
    waiters.advanced(6)
    await longer
    t.mock.timers.tick(10_000)
    assert.equal(calls.length, 5)
  })

  test('use the probe when the member does not answer', (t) => {
    const { waiters, calls } = createWaiters(t)
    waiters.wait(5, 10_000, undefined).catch(() => {})
    t.mock.timers.tick(2000)
    const probes = calls.flatMap((call, index) => (call === 'probe' ? [index] : []))
    assert.deepEqual(probes, [3, 10, 20])
    // A member that answers with a lower revision is asked again.
    waiters.advanced(4)
    t.mock.timers.tick(300)
    assert.deepEqual(calls.slice(-3), ['ask', 'ask', 'probe'])
    waiters.fail(new Error('over'))
  })

  test('reject on their timeout, their signal, or the end of the informer', async (t) => {
    const { waiters, calls } = createWaiters(t)
    const late = waiters.wait(5, 300, undefined)
    const controller = new AbortController()
    const aborted = waiters.wait(5, 10_000, controller.signal)
    const failed = waiters.wait(5, 10_000, undefined)
    t.mock.timers.tick(300)
    await assert.rejects(late, { code: 'DEADLINE_EXCEEDED', effect: 'none', message: /revision 5 in time/ })
    controller.abort(new Error('stop'))
    await assert.rejects(aborted, /stop/)
    waiters.fail(new Error('closed'))
    await assert.rejects(failed, /closed/)
    const asked = calls.length
    await assert.rejects(waiters.wait(5, 10_000, AbortSignal.abort(new Error('before'))), /before/)
    t.mock.timers.tick(10_000)
    assert.equal(calls.length, asked, 'nothing is left')
  })

  test('may wait longer than the maximum timer', async (t) => {
    const { waiters } = createWaiters(t)
    const wait = waiters.wait(5, Number.MAX_SAFE_INTEGER, undefined)
    t.mock.timers.tick(1000)
    waiters.advanced(5)
    await wait
  })

  test('leave no timer that would keep the process alive', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const waiters = new RevisionWaiters(
      () => {},
      () => {},
    )
    const wait = waiters.wait(5, 10_000, undefined)
    assert.equal(timers(), before + 2)
    waiters.advanced(5)
    await wait
    assert.equal(timers(), before)
  })
})
