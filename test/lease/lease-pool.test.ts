import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { LeasePool } from '../../src/lease/lease-pool.js'
import { PooledLease } from '../../src/lease/pooled-lease.js'
import { poll } from '../../src/testing/index.js'
import { FakeClock } from '../support/fake-clock.js'
import { within } from '../support/slack.js'

/** A pool on a clock that stands still unless it is moved, and what it has been granted. */
function poolOf(t: TestContext) {
  const clock = { now: 1000 }
  const { now } = performance
  performance.now = () => clock.now
  t.after(() => {
    performance.now = now
  })
  const granted = new Map<string, { readonly expiresAt: number; keys: number }>()
  const grant = async (ttlSeconds: number) => {
    const id = String(granted.size + 1)
    const expiresAt = clock.now + ttlSeconds * 1000
    granted.set(id, { expiresAt, keys: 0 })
    return { id, ttlSeconds, expiresAt }
  }
  const pool = new LeasePool(grant, async (_, ttlSeconds) => ({ ttlSeconds, sentAt: clock.now }))
  return { clock, granted, pool }
}

/** A lease of 3 s for keys of 2 s, of which some time is over, and the renewals that it asks for. */
function leaseOf(overMs: number) {
  const renewals: { resolve(sentAt: number): void; reject(error: Error): void }[] = []
  const granted = { id: '7', ttlSeconds: 3, expiresAt: performance.now() + 3000 - overMs }
  const lease = new PooledLease(granted, 2, (_, ttlSeconds) => {
    return new Promise((resolve, reject) => {
      renewals.push({ resolve: (sentAt) => resolve({ ttlSeconds, sentAt }), reject })
    })
  })
  lease.enter()
  return { lease, renewals }
}

const notFound = new EtcdError('none', { code: 'LEASE_NOT_FOUND', effect: 'none' })

describe('The lease pool', () => {
  test('adds a tenth to the TTL, at least 1 s and at most 60 s', async (t) => {
    const { clock, granted, pool } = poolOf(t)
    for (const ttlSeconds of [1, 60, 100_000]) await pool.take(ttlSeconds, {})
    const seconds = [...granted.values()].map(({ expiresAt }) => (expiresAt - clock.now) / 1000)
    assert.deepEqual(seconds, [2, 66, 100_060])
  })

  for (const ttlSeconds of [1, 10, 15, 600]) {
    test(`grants at most 110 leases for 100,000 keys in ten times ${ttlSeconds} s`, async (t) => {
      const { clock, granted, pool } = poolOf(t)
      const count = 100_000
      for (let index = 0; index < count; index += 1) {
        const taken = await pool.take(ttlSeconds, {})
        const lease = granted.get(taken.id)
        assert.ok(lease !== undefined)
        taken.leave()
        lease.keys += 1
        const leftMs = lease.expiresAt - clock.now
        assert.ok(leftMs >= ttlSeconds * 1000, `${leftMs} ms are left`)
        assert.ok(leftMs <= (ttlSeconds + Math.max(1, Math.ceil(ttlSeconds / 10))) * 1000 + 1, `${leftMs} ms are left`)
        clock.now += (ttlSeconds * 10_000) / count
      }
      t.diagnostic(`${granted.size} leases`)
      assert.ok(granted.size <= 110, `${granted.size} leases`)
      assert.ok([...granted.values()].every(({ keys }) => keys <= 1000))
    })
  }

  test('grants one lease for concurrent callers, none of which waits for the deadline of another', async (t) => {
    const { granted, pool } = poolOf(t)
    const taken = await Promise.all(Array.from({ length: 500 }, () => pool.take(5, {})))
    assert.equal(new Set(taken).size, 1)
    assert.equal(granted.size, 1)
    taken[0]?.gone()
    assert.notEqual(await pool.take(5, {}), taken[0])
  })
})

describe('The wait for a shared lease', () => {
  const late = new EtcdError('late', { code: 'DEADLINE_EXCEEDED', effect: 'unknown' })

  test('continues with another grant if only the time limit of the first has passed', async () => {
    let grants = 0
    const grant = async (ttlSeconds: number) => {
      grants += 1
      if (grants === 1) throw late
      return { id: '1', ttlSeconds, expiresAt: performance.now() + ttlSeconds * 1000 }
    }
    const pool = new LeasePool(grant, () => Promise.reject(late))
    const lease = await pool.take(5, { timeoutMs: 1000 })
    lease.leave()
    assert.deepEqual([lease.id, grants], ['1', 2])
  })

  test('without a time limit ends with the first grant that fails', async () => {
    let grants = 0
    const grant = async () => {
      grants += 1
      throw grants === 1 ? late : new Error('granted again')
    }
    const pool = new LeasePool(grant, () => Promise.reject(late))
    await assert.rejects(pool.take(5, {}), late)
  })

  test('ends at the deadline of the caller, after any number of grants', async () => {
    const grant = () => new Promise<never>((_, reject) => setTimeout(() => reject(late), 30))
    const pool = new LeasePool(grant, () => Promise.reject(late))
    const startedAt = performance.now()
    await assert.rejects(pool.take(5, { timeoutMs: 100 }), { code: 'DEADLINE_EXCEEDED' })
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs >= 99 && tookMs < within(500), `${tookMs} ms`)
  })
})

describe('A pooled lease', () => {
  test('is not renewed if the put leaves its key the whole TTL', () => {
    const { lease, renewals } = leaseOf(500)
    assert.equal(lease.cover({}), undefined)
    lease.leave()
    assert.equal(renewals.length, 0)
    assert.ok(lease.lasts(0))
  })

  test('is renewed once for all late puts, and takes no more keys', async () => {
    const { lease, renewals } = leaseOf(1500)
    const covered = [lease.cover({}), lease.cover({})]
    assert.equal(renewals.length, 1)
    renewals[0]?.resolve(performance.now())
    assert.deepEqual(await Promise.all(covered), [true, true])
    assert.equal(lease.exists(), false)
    lease.leave()
  })

  test('is renewed during a put, before it expires', async () => {
    const { lease, renewals } = leaseOf(1400)
    await poll('it is renewed', () => renewals.length > 0 || undefined)
    assert.ok(lease.cover({}) !== undefined)
    renewals[0]?.resolve(performance.now() - 500)
    assert.equal(await lease.cover({}), true)
    lease.leave()
  })

  test('is renewed again and again during a put, and not after it', async (t) => {
    const clock = new FakeClock(t)
    const { lease, renewals } = leaseOf(0)
    await clock.advance(1700)
    renewals[0]?.resolve(clock.now)
    await clock.advance(1700)
    assert.equal(renewals.length, 2)
    lease.leave()
    renewals[1]?.resolve(clock.now)
    await clock.advance(60_000)
    assert.equal(renewals.length, 2)
    const quick = leaseOf(0)
    quick.lease.leave()
    await clock.advance(60_000)
    assert.deepEqual([quick.renewals.length, clock.timers], [0, 0])
  })

  test('is renewed again soon if a renewal during a put fails', async (t) => {
    const clock = new FakeClock(t)
    const { lease, renewals } = leaseOf(0)
    await clock.advance(1700)
    renewals[0]?.reject(new EtcdError('cut', { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true }))
    await clock.advance(200)
    assert.equal(renewals.length, 2)
    lease.leave()
  })

  test('is renewed once more if the response took longer than it outlasts its keys', async () => {
    const { lease, renewals } = leaseOf(1500)
    const covered = lease.cover({})
    renewals[0]?.resolve(performance.now() - 1500)
    await poll('it is renewed again', () => renewals.length > 1 || undefined)
    renewals[1]?.resolve(performance.now())
    assert.equal(await covered, true)
    lease.leave()
  })

  test('does not cover a key that has expired with it', async () => {
    const { lease, renewals } = leaseOf(3500)
    const covered = lease.cover({})
    renewals[0]?.reject(notFound)
    assert.equal(await covered, false)
    lease.leave()
  })

  test('rejects a put whose renewal exceeds the deadline', async () => {
    const { lease } = leaseOf(1500)
    await assert.rejects(lease.cover({ timeoutMs: 20 }) ?? Promise.resolve(), {
      code: 'DEADLINE_EXCEEDED',
      effect: 'unknown',
    })
    lease.leave()
  })
})
