import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { waitForLock } from '../../src/concurrency/acquire.js'
import type { ConcurrencyHost } from '../../src/concurrency/concurrency-host.js'
import { LocalQueues } from '../../src/concurrency/local-queue.js'
import type { LockHandle } from '../../src/concurrency/lock-handle.js'
import type { LockRequest } from '../../src/concurrency/lock-options.js'
import { EtcdError } from '../../src/core/errors.js'
import { FakeClock } from '../support/fake-clock.js'

const lost = new EtcdError('no leader', { code: 'NO_LEADER', effect: 'none', retryable: true })

/** What locks work with, in a cluster where no lease is granted. */
function hostOf(sessions: () => void, obstacle?: EtcdError): ConcurrencyHost {
  return {
    store: {} as ConcurrencyHost['store'],
    namespace: Buffer.alloc(0),
    observer: { acquiring: (_, wait) => wait(), lockReleased: () => {} },
    session: async () => {
      sessions()
      throw lost
    },
    obstacle: () => obstacle,
    timeoutMs: 10_000,
    releaseMs: 10_000,
    releaseDelayed: () => {},
  }
}

const request: LockRequest = {
  name: 'jobs',
  kind: 'lock',
  waits: true,
  sharesKey: true,
  ttlSeconds: 10,
  timeoutMs: 5000,
  value: '',
  signal: undefined,
}

describe('A wait for a lock', () => {
  test('tries again after growing pauses while no member can grant a lease, and is then forgotten', async (t) => {
    const clock = new FakeClock(t)
    let attempts = 0
    const queues = new LocalQueues(
      hostOf(() => {
        attempts += 1
      }),
    )
    const queue = queues.of(Buffer.alloc(0), 'jobs')
    const waiting = assert.rejects(queue.acquire(request), (error: EtcdError) => {
      return error.code === 'LOCK_TIMEOUT' && error.cause === lost
    })
    assert.equal(queues.of(Buffer.from('jo'), 'bs'), queue)
    await clock.advance(5000)
    await waiting
    assert.ok(attempts >= 6 && attempts <= 16, `${attempts} attempts`)
    assert.notEqual(queues.of(Buffer.alloc(0), 'jobs'), queue)
    assert.equal(clock.timers, 0)
  })

  test('that has ended releases a lock that is granted after that, and waits for it at most a second', async (t) => {
    const timedOut = (): Error => new Error('timed out')
    for (const [obstacle, waitsMs] of [
      [undefined, 1000],
      [lost, 0],
    ] as const) {
      const clock = new FakeClock(t)
      let [releases, endedAt] = [0, 0]
      const release = async (): Promise<void> => {
        releases += 1
      }
      const lock = { release } as unknown as LockHandle
      const granting = (): Promise<LockHandle> => new Promise((resolve) => setTimeout(() => resolve(lock), 9000))
      const startedAt = clock.now
      const waiting = waitForLock(
        hostOf(() => {}, obstacle),
        { ...request, timeoutMs: 100 },
        granting,
        timedOut,
      )
      const ended = waiting.catch((error: Error) => {
        endedAt = clock.now - startedAt
        return error.message
      })
      await clock.advance(9000)
      assert.deepEqual([await ended, endedAt, releases], ['timed out', 100 + waitsMs, 1])
      t.mock.restoreAll()
    }
  })
})
