import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type Work, WorkQueue, type WorkQueueOptions } from '../../src/workqueue/index.js'
import { gate, settled } from '../informer/fixtures.js'

type Options = Partial<WorkQueueOptions>

function createQueue(t: TestContext, work: Work = () => {}, options: Options = {}) {
  const worked: string[] = []
  const errors: [unknown, string, number][] = []
  const queue = new WorkQueue(
    (key, context) => {
      worked.push(key)
      return work(key, context)
    },
    { onError: (...error) => errors.push(error), ...options },
  )
  t.after(() => queue.close())
  return { queue, worked, errors }
}

/** Mocked timers. */
function mockTimers(t: TestContext): (ms: number) => Promise<void> {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  return async (ms) => {
    t.mock.timers.tick(ms)
    await settled()
  }
}

describe('A work queue', () => {
  test('processes each key once, in order of arrival, however often it is added', async (t) => {
    const { queue, worked } = createQueue(t)
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key)
    assert.deepEqual(worked, [], 'not from within add()')
    await queue.idle()
    assert.deepEqual(worked, ['a', 'b', 'c'])
  })

  test('never processes a key concurrently with itself, and processes it again if it was added meanwhile', async (t) => {
    const gates = [gate(), gate()]
    let active = 0
    const { queue, worked } = createQueue(
      t,
      async () => {
        active += 1
        assert.equal(active, 1)
        await gates[worked.length - 1]?.promise
        active -= 1
      },
      { concurrency: 3 },
    )
    queue.add('a')
    await settled()
    for (let count = 0; count < 5; count += 1) queue.add('a')
    await settled()
    assert.deepEqual([worked, queue.stats()], [['a'], { queued: 0, active: 1, delayed: 0 }])
    gates[0]?.open()
    await settled()
    assert.deepEqual(worked, ['a', 'a'])
    gates[1]?.open()
    await queue.idle()
    assert.deepEqual(worked, ['a', 'a'])
  })

  test('processes up to `concurrency` keys at a time', async (t) => {
    let active = 0
    let most = 0
    const work = async (): Promise<void> => {
      active += 1
      most = Math.max(most, active)
      await settled()
      active -= 1
    }
    const { queue, worked } = createQueue(t, work, { concurrency: 3 })
    for (let key = 0; key < 20; key += 1) queue.add(String(key))
    await settled()
    assert.deepEqual(queue.stats(), { queued: 20 - worked.length, active: 3, delayed: 0 })
    await queue.idle()
    assert.deepEqual([worked.length, most], [20, 3])
  })

  test('retries a failed key after a delay that doubles up to a maximum and resets after a success', async (t) => {
    const tick = mockTimers(t)
    let isBroken = true
    const work = (key: string): void => {
      if (isBroken) throw new Error(`${key} is broken`)
    }
    const { queue, worked, errors } = createQueue(t, work, { minRetryMs: 100, maxRetryMs: 300 })
    queue.add('a')
    await settled()
    for (const waitMs of [100, 200, 300, 300]) {
      const { length } = worked
      assert.deepEqual(queue.stats(), { queued: 0, active: 0, delayed: 1 })
      await tick(waitMs - 1)
      assert.equal(worked.length, length)
      await tick(1)
      assert.equal(worked.length, length + 1)
    }
    assert.deepEqual(
      errors.map(([error, key, failures]) => [String(error), key, failures]),
      [1, 2, 3, 4, 5].map((failures) => ['Error: a is broken', 'a', failures]),
    )
    assert.equal(queue.failures('a'), 5)
    isBroken = false
    await tick(300)
    assert.equal(queue.failures('a'), 0)
    isBroken = true
    queue.add('a')
    await settled()
    assert.equal(errors.at(-1)?.[2], 1)
  })

  test('retries after 100 ms, and after a minute at most, by default', async (t) => {
    const tick = mockTimers(t)
    const fail = (): never => {
      throw new Error('broken')
    }
    const { queue, worked } = createQueue(t, fail)
    queue.add('a')
    await settled()
    await tick(99)
    assert.equal(worked.length, 1)
    await tick(1)
    assert.equal(worked.length, 2)
    for (let waitMs = 200; waitMs < 60_000; waitMs *= 2) await tick(waitMs)
    const { length } = worked
    await tick(59_999)
    assert.equal(worked.length, length)
    await tick(1)
    assert.equal(worked.length, length + 1)
  })

  test('processes other keys while one waits for its retry, and that one at once when it is added', async (t) => {
    mockTimers(t)
    let isBroken = true
    const { queue, worked } = createQueue(t, (key) => {
      if (key === 'a' && isBroken) throw new Error('broken')
    })
    queue.add('a')
    queue.add('b')
    await settled()
    assert.deepEqual(worked, ['a', 'b'])
    isBroken = false
    queue.add('a')
    await settled()
    assert.deepEqual([worked, queue.stats().delayed], [['a', 'b', 'a'], 0])
  })

  test('adds a delayed key once, at the earliest requested time', async (t) => {
    const tick = mockTimers(t)
    const { queue, worked } = createQueue(t)
    queue.addAfter('a', 500)
    queue.addAfter('a', 200)
    queue.addAfter('a', 900)
    queue.addAfter('b', 2 ** 40)
    await tick(199)
    assert.deepEqual(worked, [])
    await tick(1)
    assert.deepEqual(worked, ['a'])
    await tick(10_000)
    assert.deepEqual(worked, ['a'])
  })

  test('is idle when no key is queued or being processed', async (t) => {
    mockTimers(t)
    const { promise, open } = gate()
    const { queue } = createQueue(t, () => promise)
    await queue.idle()
    queue.addAfter('later', 1000)
    await queue.idle()
    queue.add('a')
    let isIdle = false
    const idle = Promise.all([queue.idle(), queue.idle()]).then(() => {
      isIdle = true
    })
    await settled()
    assert.equal(isIdle, false)
    open()
    await idle
  })

  test('drops queued keys when it is closed, aborts running work, and waits for its end', async (t) => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    let ended = false
    const { queue, worked, errors } = createQueue(t, async (_key, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      await settled()
      ended = true
      throw signal.reason
    })
    for (const key of ['a', 'b']) queue.add(key)
    queue.addAfter('c', 60_000)
    await settled()
    queue.add('a')
    const idle = queue.idle()
    await Promise.all([queue.close(), queue.close()])
    assert.ok(ended)
    await idle
    queue.add('d')
    queue.addAfter('e', 0)
    await settled()
    assert.deepEqual([worked, errors], [['a'], []])
    assert.deepEqual(queue.stats(), { queued: 0, active: 0, delayed: 0 })
    assert.equal(timers(), before)
  })

  test('can be closed by its own work, and then waits for the work on other keys', { timeout: 5000 }, async (t) => {
    const ended: string[] = []
    const { promise, open } = gate()
    const { queue, worked } = createQueue(
      t,
      async (key) => {
        if (key === 'other') await promise
        else await queue.close()
        ended.push(key)
      },
      { concurrency: 3 },
    )
    for (const key of ['a', 'b', 'other', 'dropped']) queue.add(key)
    await settled()
    assert.deepEqual([worked, ended], [['a', 'b', 'other'], []])
    open()
    await queue.close()
    assert.deepEqual(ended.sort(), ['a', 'b', 'other'])
  })

  test('waits for its work on a key if the work of another queue on that key closes it', async (t) => {
    const { promise, open } = gate()
    const { queue } = createQueue(t, () => promise)
    let isClosed = false
    const other = createQueue(t, async () => {
      await queue.close()
      isClosed = true
    })
    for (const each of [queue, other.queue]) each.add('a')
    await settled()
    assert.equal(isClosed, false)
    open()
    await other.queue.idle()
    assert.equal(isClosed, true)
  })

  test('continues after an error listener that throws, and reports its error', async (t) => {
    const uncaught: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
    t.after(() => {
      for (const listener of listeners) process.on('uncaughtException', listener)
    })
    const onError = (): never => {
      throw new Error('from the listener')
    }
    const fail = (): Promise<never> => Promise.reject(new Error('failed'))
    const { queue, worked } = createQueue(t, fail, { onError, minRetryMs: 1_000_000 })
    queue.add('a')
    queue.add('b')
    await settled()
    process.removeAllListeners('uncaughtException')
    assert.deepEqual(worked, ['a', 'b'])
    assert.deepEqual(uncaught.map(String), Array(2).fill('Error: from the listener'))
  })

  test('rejects invalid arguments', (t) => {
    const onError = (): void => {}
    const create = (work: unknown, options: unknown): WorkQueue =>
      new WorkQueue(work as Work, options as WorkQueueOptions)
    for (const [work, options] of [
      [1, { onError }],
      [() => {}, {}],
      [() => {}, { onError, concurrency: 0 }],
      [() => {}, { onError, minRetryMs: -1 }],
      [() => {}, { onError, retries: 3 }],
    ]) {
      assert.throws(() => create(work, options), { code: 'INVALID_ARGUMENT' })
    }
    const { queue } = createQueue(t)
    assert.throws(() => queue.add(1 as unknown as string), /`key` must be a string/)
    assert.throws(() => queue.addAfter('a', Number.NaN), { code: 'INVALID_ARGUMENT' })
  })
})
