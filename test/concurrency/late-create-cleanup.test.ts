import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { deleteLateCreates } from '../../src/concurrency/late-create-cleanup.js'
import type { Session } from '../../src/lease/session.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeLease } from '../support/fake-lease.js'

describe('A key that may be created late', () => {
  test('is deleted again and again, at most a minute apart, until its lease ends', async (t) => {
    const clock = new FakeClock(t)
    const lease = new FakeLease('1', 10)
    const deletedAt: number[] = []
    const startedAt = clock.now
    deleteLateCreates(lease as unknown as Session, async () => {
      deletedAt.push((clock.now - startedAt) / 1000)
      if (deletedAt.length === 2) throw new Error('no connection')
    })
    assert.equal(clock.holdsProcess, false)
    await clock.advance(250_000)
    assert.deepEqual(deletedAt, [1, 3, 7, 15, 31, 63, 123, 183, 243])
    assert.equal(getEventListeners(lease.signal, 'abort').length, 1)
    lease.lose('expired')
    assert.equal(clock.timers, 0)
    await clock.advance(250_000)
    assert.equal(deletedAt.length, 9)
  })

  test('is not deleted if its lease has ended', (t) => {
    const clock = new FakeClock(t)
    const lease = new FakeLease('1', 10)
    lease.lose('expired')
    deleteLateCreates(lease as unknown as Session, () => assert.fail())
    assert.equal(clock.timers, 0)
  })
})
