import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { LockLostError } from '../../src/concurrency/lock-errors.js'
import type { LockHandle } from '../../src/concurrency/lock-handle.js'
import type { LockOptions } from '../../src/concurrency/lock-options.js'
import type { Locks } from '../../src/concurrency/locks.js'
import { lockAll } from '../../src/concurrency/multi-lock.js'
import { LocalMutex } from '../../src/concurrency/queues/local-mutex.js'
import { FakeClock } from '../support/fake-clock.js'

/** Locks that are granted when the test says so. */
function locksOf() {
  const asked: {
    readonly name: string
    readonly options: LockOptions
    grant(): Promise<void>
    fail(error: Error): void
  }[] = []
  const released: string[] = []
  const losses = new Map<string, AbortController>()
  const lock = (name: string, options: LockOptions) =>
    new Promise<LockHandle>((resolve, reject) => {
      const loss = new AbortController()
      losses.set(name, loss)
      options.signal?.addEventListener('abort', () => reject(options.signal?.reason))
      const handle = {
        name,
        signal: loss.signal,
        remainingMs: name.length * 1000,
        isHeld: () => !loss.signal.aborted,
        release: async () => released.push(name),
      }
      const grant = (): Promise<void> => {
        resolve(handle as unknown as LockHandle)
        return new Promise((granted) => setImmediate(granted))
      }
      asked.push({ name, options, grant, fail: reject })
    })
  const host = { obstacle: () => undefined, releaseMs: 1000, releaseDelayed: () => {} }
  const all = (names: readonly string[], options: LockOptions = {}) =>
    lockAll({ lock } as unknown as Locks, names, options, host)
  return { all, asked, losses, released }
}

describe('Several locks', () => {
  test('are acquired one after the other, in the order of their bytes, each once and in the time that is left', async (t) => {
    const clock = new FakeClock(t)
    const { all, asked, losses } = locksOf()
    const acquiring = all(['b', '\u{1f600}', 'a', '\uffee', 'b'], { timeoutMs: 5000, ttlSeconds: 7, value: 'me' })
    for (const [index, name] of ['a', 'b', '\uffee', '\u{1f600}'].entries()) {
      assert.equal(asked.length, index + 1)
      const { options, ...one } = asked[index] ?? assert.fail()
      assert.deepEqual(
        [one.name, options.timeoutMs, options.ttlSeconds, options.value],
        [name, 5000 - index * 100, 7, 'me'],
      )
      clock.block(100)
      await one.grant()
    }
    const locks = await acquiring
    assert.deepEqual([locks.isHeld(), locks.remainingMs], [true, 1000])
    assert.throws(() => locks.fence('c'), /`name` must be one of the locks, got "c"/)
    const loss = new LockLostError('b')
    losses.get('b')?.abort(loss)
    assert.deepEqual([locks.isHeld(), locks.signal.reason], [false, loss])
  })

  test('are all released if one cannot be acquired, or is lost meanwhile', async () => {
    const failed = locksOf()
    const reason = new Error('held')
    const acquiring = assert.rejects(failed.all(['a', 'b', 'c']), reason)
    await failed.asked[0]?.grant()
    await failed.asked[1]?.grant()
    failed.asked[2]?.fail(reason)
    await acquiring
    assert.deepEqual(failed.released, ['a', 'b'])

    const lost = locksOf()
    const loss = new LockLostError('a')
    const waiting = assert.rejects(lost.all(['a', 'b']), loss)
    await lost.asked[0]?.grant()
    lost.losses.get('a')?.abort(loss)
    await waiting
    assert.deepEqual(lost.released, ['a'])
  })

  test('leave no listener on the signal of their caller', async () => {
    const { all, asked } = locksOf()
    const { signal } = new AbortController()
    const acquiring = all(['a', 'b'], { signal })
    await asked[0]?.grant()
    await asked[1]?.grant()
    const locks = await acquiring
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    await locks.release()
  })
})

describe('A mutex of one process', () => {
  test('is handed on in order, past those that have given up, and never held twice', async () => {
    const mutex = new LocalMutex()
    const { signal } = new AbortController()
    const order: string[] = []
    const first = await mutex.acquire(signal)
    const leaving = new AbortController()
    const second = assert.rejects(mutex.acquire(leaving.signal), leaving.signal.reason)
    const third = mutex.acquire(signal).then((release) => {
      order.push('third')
      return release
    })
    leaving.abort()
    await second
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(order, [])
    first()
    const release = await third
    release()
    ;(await mutex.acquire(signal))()
  })
})
