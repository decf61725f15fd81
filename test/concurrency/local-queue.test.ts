import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { leaseQueue } from '../../src/concurrency/lease-entries.js'
import { LocalQueue } from '../../src/concurrency/local-queue.js'
import { LockUnavailableError } from '../../src/concurrency/lock-errors.js'
import type { LockHandle } from '../../src/concurrency/lock-handle.js'
import type { LockRequest } from '../../src/concurrency/lock-options.js'
import { EtcdError } from '../../src/core/errors.js'
import { fakeConcurrencyHost } from '../support/fake-concurrency-host.js'

/** The lock `jobs` of one process, in a store that the test controls. The lease of a TTL of 10 s is `10`. */
function queueOf() {
  const { host, leases, store } = fakeConcurrencyHost()
  let idle = 0
  const queue = new LocalQueue(leaseQueue(Buffer.from('jobs')), host, () => {
    idle += 1
  })
  const acquire = (options: Partial<LockRequest> = {}): Promise<LockHandle> =>
    queue.acquire({
      name: 'jobs',
      kind: 'lock',
      ttlSeconds: 10,
      timeoutMs: 10_000,
      signal: undefined,
      value: '',
      waits: true,
      sharesKey: true,
      ...options,
    })
  return { store, acquire, leases, idle: () => idle }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const denied = new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' })

describe('The callers of one process that want a lock', () => {
  test('hand one key over, each with a greater fence, and let other processes have a turn after 16 times', async () => {
    const { store, acquire, idle } = queueOf()
    const fences: number[] = []
    const creations = new Set<unknown>()
    const holders = Array.from({ length: 20 }, async (_, index) => {
      const lock = await acquire({ value: String(index) })
      fences.push(lock.fence)
      const kv = store.get('jobs/10')
      creations.add(kv?.createRevision)
      assert.deepEqual([kv?.valueText, lock.keyText], [String(index), 'jobs/10'])
      await turn()
      await lock.release()
    })
    await Promise.all(holders)
    assert.deepEqual(
      fences,
      fences.toSorted((a, b) => a - b),
    )
    assert.deepEqual([new Set(fences).size, creations.size, store.get('jobs/10'), idle()], [20, 2, undefined, 1])
  })

  test('have no key left when the last of them has given up, before that is reported', async () => {
    const { store, acquire } = queueOf()
    store.write('jobs/f00', 'theirs', 'f00')
    const [first, second] = [new AbortController(), new AbortController()]
    const reason = new Error('enough')
    const leaving = assert.rejects(acquire({ signal: first.signal }), reason)
    let isReported = false
    const last = assert.rejects(acquire({ signal: second.signal }), reason).then(() => {
      isReported = true
    })
    await turn()
    const { createRevision } = store.get('jobs/10') ?? assert.fail()
    first.abort(reason)
    await leaving
    assert.equal(store.get('jobs/10')?.createRevision, createRevision, 'the place in the queue is that of the next')
    let arrive = (): void => {}
    store.transits.push(async (apply) => {
      await new Promise<void>((resolve) => {
        arrive = resolve
      })
      return apply()
    })
    second.abort(reason)
    await turn()
    assert.equal(isReported, false)
    arrive()
    await last
    assert.equal(store.get('jobs/10'), undefined)
  })

  test('have the TTL that each of them chose', async () => {
    const { store, acquire } = queueOf()
    const first = await acquire()
    const waiting = acquire({ ttlSeconds: 20 })
    await turn()
    await first.release()
    const second = await waiting
    assert.deepEqual([second.keyText, store.get('jobs/10')], ['jobs/20', undefined])
    await second.release()
  })

  test('get no lock whose lease has ended before it was granted', async () => {
    const { store, acquire, leases } = queueOf()
    store.transits.push((apply) => {
      const response = apply()
      leases[0]?.lose('expired')
      store.delete('jobs/10')
      return response
    })
    const lock = await acquire()
    assert.deepEqual([lock.isHeld(), lock.keyText, leases.length], [true, 'jobs/11', 2])
    await lock.release()
  })

  test('create the key again only when it is deleted, if it is not handed over', async () => {
    const { store, acquire } = queueOf()
    const first = await acquire({ sharesKey: false })
    const waiting = acquire({ sharesKey: false })
    let arrive = (): void => {}
    store.transits.push(async (apply) => {
      await new Promise<void>((resolve) => {
        arrive = resolve
      })
      return apply()
    })
    const { revision } = store
    const releasing = first.release()
    await turn()
    assert.equal(store.revision, revision)
    arrive()
    await releasing
    const second = await waiting
    assert.ok(second.fence > first.fence)
    await second.release()
  })

  test('fail alone if only their own key is refused', async () => {
    const { store, acquire } = queueOf()
    store.transits.push(() => {
      throw denied
    })
    const refused = assert.rejects(acquire({ value: 'too large' }), denied)
    const other = acquire()
    await refused
    await (await other).release()
  })

  test('fail at once with the holder if they do not wait', async () => {
    const { store, acquire } = queueOf()
    store.write('jobs/f00', 'theirs', 'f00')
    const controller = new AbortController()
    const waiting = acquire({ signal: controller.signal })
    waiting.catch(() => {})
    await turn()
    const { revision } = store
    await assert.rejects(acquire({ waits: false }), (error) => {
      assert.ok(error instanceof LockUnavailableError)
      assert.deepEqual([error.holder?.keyText, error.holder?.valueText], ['jobs/f00', 'theirs'])
      return true
    })
    assert.equal(store.revision, revision, 'it has written nothing')
    controller.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
  })

  test('learn that a lock which is not granted in time is held by this client', async () => {
    const { acquire } = queueOf()
    const lock = await acquire()
    await assert.rejects(acquire({ timeoutMs: 10 }), /this client holds it, and locks are not re-entrant/)
    await Promise.all([lock.release(), lock.release()])
    await (await acquire()).release()
  })
})
