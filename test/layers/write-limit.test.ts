import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { EtcdError, type EtcdErrorInit } from '../../src/core/errors.js'
import { WriteLimit, writeLimitLayer } from '../../src/layers/write-limit.js'
import { type CallOptions, callContext } from '../../src/transport/transport.js'
import { methods } from '../../src/wire/methods.js'
import { fakeTransport } from '../support/fake-transport.js'

const overload = { code: 'TOO_MANY_REQUESTS', effect: 'none', retryable: true } as const
const noLimit = Number.POSITIVE_INFINITY

/** A limit over a transport whose calls end when the test says so. */
class Limited {
  readonly limit = new WriteLimit()
  readonly #sent: { readonly succeed: () => void; readonly fail: (error: EtcdError) => void }[] = []
  readonly #transport = writeLimitLayer(this.limit)(
    fakeTransport(() => {
      return new Promise((resolve, reject) => this.#sent.push({ succeed: () => resolve({}), fail: reject }))
    }),
  )

  /** Writes that have been sent and not been answered. */
  get open(): number {
    return this.#sent.length
  }

  write(options: CallOptions & { readonly proposal?: boolean } = {}): Promise<unknown> {
    const context = callContext(options, { proposal: options.proposal ?? true })
    context.deadlineAt = context.startedAt + (options.timeoutMs ?? 10_000)
    return this.#transport.unary(methods.KV.Put, {}, context)
  }

  async writes(count: number): Promise<Promise<unknown>[]> {
    const all = Array.from({ length: count }, () => this.write())
    for (const one of all) one.catch(() => {})
    await turn()
    return all
  }

  /** Answers the oldest of them, with success or an error. */
  async answer(count: number, init?: EtcdErrorInit): Promise<void> {
    for (const { succeed, fail } of this.#sent.splice(0, count)) {
      if (init === undefined) succeed()
      else fail(new EtcdError('failed', init))
    }
    await turn()
  }

  /** As it is after 16 writes at once of which the first was refused: 8 may be in flight, and are. */
  static async lowered(): Promise<Limited> {
    const limited = new Limited()
    await limited.writes(16)
    await limited.answer(1, overload)
    await limited.answer(7)
    assert.deepEqual(limited.limit.stats, { limit: 8, inFlight: 8, queued: 0 })
    return limited
  }
}

describe('The write limit', () => {
  test('is none while the cluster keeps up', async () => {
    const limited = new Limited()
    await limited.writes(5000)
    assert.equal(limited.open, 5000)
    await limited.answer(5000)
    assert.deepEqual(limited.limit.stats, { limit: noLimit, inFlight: 0, queued: 0 })
  })

  test('is half of what was in flight when a member says that it is behind, once for all that were', async () => {
    const limited = new Limited()
    await limited.writes(100)
    await limited.answer(100, overload)
    assert.equal(limited.limit.stats.limit, 50)
  })

  test('never goes below 4', async () => {
    const limited = new Limited()
    for (let round = 0; round < 10; round += 1) {
      await limited.writes(5)
      await limited.answer(5, overload)
    }
    assert.equal(limited.limit.stats.limit, 4)
  })

  test('takes a timeout for overload, unless the write had little time itself', async (t: TestContext) => {
    const limited = new Limited()
    const late = { code: 'DEADLINE_EXCEEDED', effect: 'unknown', retryable: true } as const
    for (const [afterMs, expected] of [
      [500, noLimit],
      [1500, 10],
    ] as const) {
      await limited.writes(20)
      const now = performance.now() + afterMs
      t.mock.method(performance, 'now', () => now)
      await limited.answer(20, late)
      t.mock.restoreAll()
      assert.equal(limited.limit.stats.limit, expected)
    }
  })

  test('leaves failures alone that say nothing of the load', async () => {
    const limited = new Limited()
    for (const code of ['LEADER_LOST', 'CONNECTION_LOST', 'PERMISSION_DENIED', 'NO_LEADER'] as const) {
      await limited.writes(10)
      await limited.answer(10, { code, effect: 'unknown' })
    }
    assert.equal(limited.limit.stats.limit, noLimit)
  })

  test('holds further writes back, in order, and no reads', async () => {
    const limited = await Limited.lowered()
    const order: number[] = []
    for (const index of [1, 2, 3]) void limited.write().then(() => order.push(index))
    await turn()
    assert.deepEqual([limited.open, limited.limit.stats.queued], [8, 3])
    void limited.write({ proposal: false })
    assert.equal(limited.open, 9)
    while (limited.open > 0) await limited.answer(1)
    assert.deepEqual(order, [1, 2, 3])
  })

  test('grows by one for each round of writes, and is none in the end', async () => {
    const limited = await Limited.lowered()
    await limited.writes(10_000)
    for (const [answers, expected] of [
      [8, 8], // sent before there was a limit
      [8, 8],
      [1, 9],
    ] as const) {
      await limited.answer(answers)
      assert.equal(limited.limit.stats.limit, expected)
    }
    while (limited.limit.stats.queued > 0) await limited.answer(limited.open)
    assert.ok(limited.limit.stats.limit > 100 && limited.limit.stats.limit < 200)
  })

  test('does not grow while it is not what holds writes back', async () => {
    const limited = await Limited.lowered()
    await limited.answer(8)
    for (let round = 0; round < 100; round += 1) {
      await limited.writes(5)
      await limited.answer(5)
    }
    assert.equal(limited.limit.stats.limit, 8)
  })

  test('rejects a write whose turn does not come in time, or that is aborted, with nothing done', async () => {
    const limited = await Limited.lowered()
    const reason = new Error('enough')
    const controller = new AbortController()
    const late = { code: 'DEADLINE_EXCEEDED', effect: 'none', message: /8 in flight/ }
    const rejections = [
      assert.rejects(limited.write({ signal: controller.signal }), reason),
      assert.rejects(limited.write({ timeoutMs: 20 }), late),
    ]
    controller.abort(reason)
    await Promise.all(rejections)
    await assert.rejects(limited.write({ signal: AbortSignal.abort(reason) }), reason)
    assert.deepEqual([limited.open, limited.limit.stats.queued], [8, 0])
  })
})
