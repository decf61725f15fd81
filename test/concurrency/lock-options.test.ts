import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isLeaseEntry } from '../../src/concurrency/lease-entries.js'
import { resolveLockOptions } from '../../src/concurrency/lock-options.js'
import { KeyValue } from '../../src/core/key-value.js'

describe('A request for a lock', () => {
  test('has a TTL of 10 s, and waits for 60 s, or 10 s if it only tries', () => {
    const defaults = { ttlSeconds: 10, timeoutMs: 60_000, signal: undefined, value: '' }
    assert.deepEqual(resolveLockOptions('lock()', {}, true), defaults)
    assert.deepEqual(resolveLockOptions('tryLock()', {}, false), { ...defaults, timeoutMs: 10_000 })
    const chosen = { ttlSeconds: 3, timeoutMs: Number.POSITIVE_INFINITY, signal: undefined, value: 'host' }
    assert.deepEqual(resolveLockOptions('lock()', chosen, true), chosen)
  })
})

describe('The entry of a lock', () => {
  const isEntry = (key: string, lease: string | undefined): boolean => {
    const kv = Object.assign(new KeyValue(), { key: Buffer.from(`jobs/${key}`), lease })
    return isLeaseEntry(Buffer.from('jobs/'), kv)
  }

  test('is named by its lease, which Go prints with a sign if it is negative', () => {
    assert.ok(isEntry('694d7b0a', '694d7b0a'))
    assert.ok(isEntry('-1', 'ffffffffffffffff'))
    assert.ok(isEntry('-7fffffffffffff01', '80000000000000ff'))
    assert.ok(isEntry('80000000000000ff', '80000000000000ff'))
  })

  test('is no key without a lease, with another one, or of a longer name', () => {
    assert.ok(!isEntry('694d7b0a', undefined))
    assert.ok(!isEntry('694d7b0a', '694d7b0b'))
    assert.ok(!isEntry('-2', 'ffffffffffffffff'))
    assert.ok(!isEntry('a/694d7b0a', '694d7b0a'))
  })
})
