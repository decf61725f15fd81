import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { sleep } from '../../src/core/abort.js'

describe('sleep', () => {
  test('ends after its time, and leaves no listener behind', async () => {
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
