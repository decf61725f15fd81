import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { LeasePool } from '../../src/lease/lease-pool.js'

/** A pool on a clock that stands still unless it is moved, and what it has been granted. */
function poolOf(t: TestContext) {
  const clock = { now: 1000 }
  const { now } = performance
  performance.now = () => clock.now
  t.after(() => {
    performance.now = now
  })
  const granted = new Map<string, { readonly expiresAt: number; keys: number }>()
  const pool = new LeasePool(async (ttlSeconds) => {
    const id = String(granted.size + 1)
    const expiresAt = clock.now + ttlSeconds * 1000
    granted.set(id, { expiresAt, keys: 0 })
    return { id, ttlSeconds, expiresAt }
  })
  return { clock, granted, pool }
}

describe('The pool of leases for keys with a time to live', () => {
  for (const ttlSeconds of [1, 10, 15, 600]) {
    test(`grants at most 110 leases for 100,000 keys in ten times ${ttlSeconds} s`, async (t) => {
      const { clock, granted, pool } = poolOf(t)
      const count = 100_000
      for (let index = 0; index < count; index += 1) {
        const lease = granted.get(await pool.take(ttlSeconds, {}))
        assert.ok(lease !== undefined)
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

  test('grants one lease for all who ask at once, and lets none of them wait for another’s deadline', async (t) => {
    const { granted, pool } = poolOf(t)
    const taken = await Promise.all(Array.from({ length: 500 }, () => pool.take(5, {})))
    assert.equal(new Set(taken).size, 1)
    assert.equal(granted.size, 1)
    pool.gone(5, taken[0] ?? '')
    assert.notEqual(await pool.take(5, {}), taken[0])
  })
})
