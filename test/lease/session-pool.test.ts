import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { SessionPool } from '../../src/lease/session-pool.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeLease } from '../support/fake-lease.js'

function poolOf(t: TestContext): { clock: FakeClock; granted: FakeLease[]; pool: SessionPool } {
  const clock = new FakeClock(t)
  const granted: FakeLease[] = []
  const pool = new SessionPool(async (ttlSeconds) => {
    const lease = new FakeLease(String(granted.length + 1), ttlSeconds)
    granted.push(lease)
    return lease.lease
  })
  return { clock, granted, pool }
}

function revocations(granted: readonly FakeLease[]): number[] {
  return granted.map((lease) => lease.revocations)
}

describe('The lease of sessions', () => {
  test('takes a thousand of them', async (t) => {
    const { granted, pool } = poolOf(t)
    for (let count = 0; count < 1001; count += 1) await pool.acquire(10, {})
    assert.equal(granted.length, 2)
  })

  test('stays while one of them is used, and then for a third of its TTL, from 1 s to 10 s', async (t) => {
    for (const [ttlSeconds, idleMs] of [
      [2, 1000],
      [15, 5000],
      [60, 10_000],
    ] as const) {
      const { clock, granted, pool } = poolOf(t)
      const session = await pool.acquire(ttlSeconds, {})
      await clock.advance(60_000)
      assert.deepEqual(revocations(granted), [0])
      session.release()
      assert.equal(clock.holdsProcess, false)
      await clock.advance(idleMs - 1)
      const again = await pool.acquire(ttlSeconds, {})
      await clock.advance(60_000)
      assert.deepEqual([again.id, ...revocations(granted)], ['1', 0])
      again.release()
      await clock.advance(idleMs)
      assert.deepEqual([clock.timers, ...revocations(granted)], [0, 1])
      t.mock.restoreAll()
    }
  })

  test('is revoked after that, too, if the caller that it was granted for has given up', async (t) => {
    const { clock, granted, pool } = poolOf(t)
    const reason = new Error('enough')
    await assert.rejects(pool.acquire(10, { signal: AbortSignal.abort(reason) }), reason)
    await clock.advance(10_000)
    assert.deepEqual(revocations(granted), [1])
  })

  test('is not used again once it is retired, and revoked with its last session', async (t) => {
    const { clock, granted, pool } = poolOf(t)
    const [first, second] = [await pool.acquire(10, {}), await pool.acquire(10, {})]
    first.retire()
    first.release()
    await clock.advance(60_000)
    assert.deepEqual(revocations(granted), [0])
    const other = await pool.acquire(10, {})
    assert.notEqual(other.id, first.id)
    second.release()
    assert.deepEqual(revocations(granted), [1, 0])
    other.release()
    other.retire()
    assert.deepEqual(revocations(granted), [1, 1])
  })

  test('is shared by a session until its first release', async (t) => {
    const { clock, granted, pool } = poolOf(t)
    const [first, second] = [await pool.acquire(10, {}), await pool.acquire(10, {})]
    assert.deepEqual([first.state, first.isAlive()], [undefined, true])
    first.release()
    first.release()
    assert.deepEqual([first.state, first.isAlive()], ['closed', false])
    await clock.advance(60_000)
    assert.deepEqual([second.isAlive(), ...revocations(granted)], [true, 0])
  })

  test('that is granted while the client closes is revoked before that is done, and serves nobody', async (t) => {
    const clock = new FakeClock(t)
    const granted: FakeLease[] = []
    const pool = new SessionPool(async (ttlSeconds) => {
      await new Promise((resolve) => setTimeout(resolve, 500))
      granted.push(new FakeLease('1', ttlSeconds))
      return granted[0]?.lease ?? assert.fail()
    })
    const acquiring = assert.rejects(pool.acquire(10, {}), { code: 'CLOSED' })
    let isClosed = false
    const closing = pool.close()?.then(() => {
      isClosed = true
    })
    await clock.advance(499)
    assert.equal(isClosed, false)
    await clock.advance(1)
    await Promise.all([acquiring, closing])
    assert.deepEqual(revocations(granted), [1])
    await assert.rejects(pool.acquire(10, {}), { code: 'CLOSED' })
    assert.equal(granted.length, 1)
  })

  test('is revoked when it has run out here, since its keys may exist in the cluster for a while', async (t) => {
    for (const [reason, expected] of [
      ['expired', 1],
      ['stalled', 1],
      ['revoked', 0],
      ['refused', 0],
    ] as const) {
      const { granted, pool } = poolOf(t)
      await pool.acquire(10, {})
      granted[0]?.lose(reason)
      assert.deepEqual(revocations(granted), [expected], reason)
      assert.equal((await pool.acquire(10, {})).id, '2')
      t.mock.restoreAll()
    }
  })

  test('may have any number of listeners without a warning of Node', async (t) => {
    const { pool } = poolOf(t)
    const warnings = t.mock.method(process, 'emitWarning', () => {})
    const { signal } = await pool.acquire(10, {})
    for (let count = 0; count < 20; count += 1) signal.addEventListener('abort', () => {})
    assert.equal(warnings.mock.callCount(), 0)
  })
})
