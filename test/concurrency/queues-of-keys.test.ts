import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DoubleBarrier } from '../../src/concurrency/double-barrier.js'
import { Election } from '../../src/concurrency/election.js'
import type { LocalQueues } from '../../src/concurrency/local-queue.js'
import { RwLock } from '../../src/concurrency/rw-lock.js'
import { Semaphore } from '../../src/concurrency/semaphore.js'
import { EtcdError } from '../../src/core/errors.js'
import { kvOf } from '../informer/fixtures.js'
import { fakeConcurrencyHost } from '../support/fake-concurrency-host.js'

describe('A semaphore', () => {
  test('has the permits of its first user, also if two begin at the same time', async () => {
    const { host, store } = fakeConcurrencyHost()
    store.transits.push((apply) => {
      const response = apply()
      store.write('s~semaphore/~permits', '5')
      return response
    })
    await assert.rejects(new Semaphore('s', 3, host).tryAcquire(), { code: 'PERMITS_MISMATCH', effect: 'none' })
    assert.equal(store.get('s~semaphore/~permits')?.valueText, '5')
    await (await new Semaphore('s', 5, host).tryAcquire()).release()
  })
})

describe('A call that does not wait for a lock', () => {
  test('fails with the first failure of the cluster', async () => {
    const { host } = fakeConcurrencyHost()
    const noLeader = new EtcdError('no leader', { code: 'NO_LEADER', effect: 'none', retryable: true })
    let calls = 0
    const session = async (): Promise<never> => {
      calls += 1
      throw noLeader
    }
    await assert.rejects(new RwLock('rw', { ...host, session }).tryWrite(), noLeader)
    assert.equal(calls, 1)
  })
})

describe('An election', () => {
  test('has the oldest candidate as its leader, and no other key, and a TTL of 10 s', async () => {
    const own = { ...kvOf('e/a1', 'us', 5), lease: 'a1' }
    const others = [
      kvOf('e/data', '', 1),
      { ...kvOf('e/b2', '', 2), lease: 'c3' },
      { ...kvOf('e/d4', '', 9), lease: 'd4' },
    ]
    const requests: { readonly ttlSeconds: number }[] = []
    const acquire = (request: { readonly ttlSeconds: number }): Promise<never> => {
      requests.push(request)
      return Promise.reject(new Error('enough'))
    }
    const store = { range: async () => ({ kvs: [...others, own], revision: 9 }) } as never
    const queues = { of: () => ({ acquire }) } as unknown as LocalQueues
    const election = new Election('e', {}, { store, namespace: Buffer.alloc(0), queues })
    const leader = await election.leader()
    assert.deepEqual([leader?.keyText, leader?.valueText], ['e/a1', 'us'])
    await assert.rejects(election.campaign('us'), /enough/)
    assert.equal(requests[0]?.ttlSeconds, 10)
  })
})

describe('A double barrier', () => {
  test('does not count participants of the round before, who are about to leave', async () => {
    const unique = (digit: number): string => `${String(digit).repeat(19)}-${String(digit).repeat(32)}`
    const { host, store } = fakeConcurrencyHost()
    store.write(`d/waiters/${unique(1)}`, '', 'a1')
    store.write('d/~ready', '')
    const alone = new DoubleBarrier('d', 2, {}, host).enter({ timeoutMs: 30 })
    await assert.rejects(alone, { code: 'DEADLINE_EXCEEDED' })
    store.write(`d/waiters/${unique(2)}`, '', 'b2')
    const full = new DoubleBarrier('d', 2, {}, host).enter({ timeoutMs: 10_000 })
    await assert.rejects(full, { code: 'BARRIER_FULL' })
  })
})
