import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import type { HeldLock } from '../../src/concurrency/held-lock.js'
import { LockLostError } from '../../src/concurrency/lock-errors.js'
import { LockHandle } from '../../src/concurrency/lock-handle.js'
import type { LockRequest } from '../../src/concurrency/lock-options.js'

/** A lock whose key is rewritten when the test says so. */
function lockOf({ sharesKey = true } = {}) {
  const rewrites: {
    readonly value: string
    resolve(revision: number | undefined): Promise<void>
    reject(error: Error): void
  }[] = []
  const [loss, otherLoss] = [new AbortController(), new AbortController()]
  const key = {
    createRevision: 5,
    modRevision: 5,
    session: { isAlive: () => true, expiresAt: Number.POSITIVE_INFINITY },
    rewrite: (value: string) =>
      new Promise<number | undefined>((settle, reject) => {
        const resolve = (revision: number | undefined): Promise<void> => {
          key.modRevision = revision ?? key.modRevision
          settle(revision)
          return settled()
        }
        rewrites.push({ value, resolve, reject })
      }),
  }
  const held = { key, isLost: false, losses: [loss.signal, otherLoss.signal], watch: () => {} } as unknown as HeldLock
  let ends = 0
  const released: unknown[] = []
  const lock = new LockHandle({
    request: { name: 'jobs', kind: 'lock', sharesKey } as LockRequest,
    keyText: 'jobs/1',
    fence: 5,
    held,
    host: {
      obstacle: () => undefined,
      releaseMs: 10_000,
      releaseDelayed: () => {},
      observer: { acquiring: (_, wait) => wait(), lockReleased: ({ fence }) => released.push(fence) },
    },
    onEnd: async () => {
      ends += 1
    },
  })
  return { lock, loss, otherLoss, released, rewrites, ends: () => ends }
}

/** Resolves when all promises that depend on nothing else have settled. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('A lock handle', () => {
  test('writes its values one after the other, and is released after the last', async () => {
    const { lock, rewrites, ends } = lockOf()
    const writing = [lock.rewrite('first'), lock.rewrite('second')]
    await settled()
    assert.equal(rewrites.length, 1)
    await rewrites[0]?.resolve(6)
    const releasing = lock.release()
    await settled()
    assert.deepEqual([rewrites.map(({ value }) => value), ends()], [['first', 'second'], 0])
    await rewrites[1]?.resolve(7)
    await Promise.all([...writing, releasing])
    assert.equal(ends(), 1)
  })

  test('writes the next value after one that was refused', async () => {
    const { lock, rewrites } = lockOf()
    const refused = new Error('refused')
    const first = assert.rejects(lock.rewrite('first'), refused)
    const second = lock.rewrite('second')
    await settled()
    rewrites[0]?.reject(refused)
    await first
    await settled()
    await rewrites[1]?.resolve(7)
    await second
  })

  test('has a guard that holds after its value was rewritten', async () => {
    for (const [sharesKey, expected] of [
      [true, { target: 'MOD', modRevision: 9 }],
      [false, { target: 'CREATE', createRevision: 5 }],
    ] as const) {
      const { lock, rewrites } = lockOf({ sharesKey })
      const writing = lock.rewrite('value')
      await settled()
      await rewrites[0]?.resolve(9)
      await writing
      assert.deepEqual(lock.guard().compare, { key: Buffer.from('jobs/1'), result: 'EQUAL', ...expected })
    }
  })

  test('writes nothing after its release, when the key may be that of the next holder', async () => {
    const { lock, rewrites } = lockOf()
    await lock.release()
    await assert.rejects(lock.rewrite('late'), LockLostError)
    await assert.rejects(lock.rewrite(Buffer.from('late') as never), /`value` must be a string, got bytes/)
    assert.equal(rewrites.length, 0)
  })

  test('ends once when it is lost, also if it is released then', async () => {
    const { lock, loss, otherLoss, released, ends } = lockOf()
    loss.abort(new Error('deleted'))
    assert.equal(getEventListeners(otherLoss.signal, 'abort').length, 0)
    otherLoss.abort(new Error('expired'))
    assert.deepEqual([lock.isHeld(), lock.signal.aborted, ends(), released], [false, true, 1, []])
    await Promise.all([lock.release(), lock.release()])
    assert.deepEqual([ends(), released], [1, [5]])
  })

  test('is not lost after its release, and leaves no listener', async () => {
    const { lock, loss, ends } = lockOf()
    await lock.release()
    assert.equal(getEventListeners(loss.signal, 'abort').length, 0)
    loss.abort(new Error('the client was closed'))
    assert.deepEqual([lock.isHeld(), lock.signal.aborted, ends()], [false, false, 1])
  })
})
