import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { withAnySignal } from '../../src/core/abort.js'
import { sleep } from '../../src/core/wait.js'

describe('sleep', () => {
  test('resolves after its time, and leaves no listener behind', async () => {
    const { signal } = new AbortController()
    const startedAt = performance.now()
    await sleep(20, signal)
    assert.ok(performance.now() - startedAt >= 19)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  test('rejects with the reason as soon as its signal aborts, before or during it', async () => {
    const reason = new Error('enough')
    await assert.rejects(sleep(60_000, AbortSignal.abort(reason)), reason)
    const controller = new AbortController()
    const sleeping = sleep(60_000, controller.signal)
    controller.abort(reason)
    await assert.rejects(sleeping, reason)
  })
})

describe('withAnySignal', () => {
  test('aborts with the reason of any signal, and leaves no listener behind', async () => {
    const [first, second] = [new AbortController(), new AbortController()]
    const signals = [first.signal, undefined, second.signal]
    const reason = new Error('enough')
    const asked = withAnySignal(signals, (signal) => sleep(60_000, signal))
    second.abort(reason)
    await assert.rejects(asked, reason)
    await assert.rejects(
      withAnySignal(signals, (signal) => sleep(60_000, signal)),
      reason,
    )
    assert.equal(await withAnySignal([first.signal], async ({ aborted }) => aborted), false)
    for (const { signal } of [first, second]) assert.equal(getEventListeners(signal, 'abort').length, 0)
  })
})
