import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { absorbBatch, endpointOf, newProgress, progressOf, responseBytesOf } from '../../src/transport/call-progress.js'
import { callContext } from '../../src/transport/transport.js'

test('A call has no property that its kind does not have, and a deadline from its own timeout', () => {
  const { repeatable, requiresFloor, skipsRevisionCheck, proposal, mayUseCache, route, ...call } = callContext({}, {})
  assert.deepEqual(
    { repeatable, requiresFloor, skipsRevisionCheck, proposal, mayUseCache, route },
    {
      repeatable: false,
      requiresFloor: false,
      skipsRevisionCheck: false,
      proposal: false,
      mayUseCache: false,
      route: { serializable: false, prefer: undefined, endpoint: undefined },
    },
  )
  assert.equal(call.deadlineAt, Number.POSITIVE_INFINITY)
  const own = callContext({ timeoutMs: 5 }, {}, 1000)
  assert.deepEqual([own.timeoutMs, own.deadlineAt], [5, own.startedAt + 5])
  assert.equal(callContext({}, {}, 1000).timeoutMs, 1000)
})

test('A call has the size and the endpoint of the answer that it got, from a member or from memory', () => {
  const context = { progress: newProgress() }
  Object.assign(progressOf.wire(context), { endpoint: 'http://a', responseBytes: 10 })
  assert.deepEqual([endpointOf(context.progress), responseBytesOf(context.progress)], ['http://a', 10])
  progressOf.reads(context).cachedAnswer = { endpoint: undefined, bytes: 20 }
  assert.deepEqual([endpointOf(context.progress), responseBytesOf(context.progress)], [undefined, 20])
})

test('A call of a batch has the attempts, the last failure, and the waits since its start', () => {
  const lastFailure = new EtcdError('no leader', { code: 'NO_LEADER', effect: 'none' })
  const batch = { startedAt: 10, progress: newProgress() }
  Object.assign(batch.progress, { attempts: 2, lastFailure, endpoint: 'http://a' })
  Object.assign(batch.progress, { authMs: 1, backoffMs: 2, connectMs: 3, responseBytes: 1000 })
  for (const [startedAt, waits] of [
    [10, [1, 2, 3]],
    [11, [0, 0, 0]],
  ] as const) {
    const call = { startedAt, progress: newProgress() }
    absorbBatch(call, batch, 30)
    const { attempts, endpoint, responseBytes, authMs, backoffMs, connectMs } = call.progress
    assert.deepEqual([attempts, endpoint, responseBytes], [2, 'http://a', 30])
    assert.equal(call.progress.lastFailure, lastFailure)
    assert.deepEqual([authMs, backoffMs, connectMs], waits)
  }
})
