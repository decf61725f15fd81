import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { EtcdError } from '../../src/core/errors.js'
import { CallQueue, type CallVerdict } from '../../src/interceptors/call-queue.js'
import { type CallOptions, callContext } from '../../src/transport/transport.js'

const noLimit = Number.POSITIVE_INFINITY
const noLeader = new EtcdError('etcdserver: no leader', { code: 'NO_LEADER', effect: 'none', retryable: true })

/** A queue with calls that end when the test says so. */
class Queued {
  readonly queue = new CallQueue()
  readonly #rounds: number[] = []

  /** Calls that were sent and have not ended. */
  get open(): number {
    return this.#rounds.length
  }

  get limit(): number {
    return this.queue.stats.limit
  }

  async call(options: CallOptions = {}, refusal?: EtcdError): Promise<void> {
    const context = callContext({ timeoutMs: 10_000, ...options }, {})
    this.#rounds.push(this.queue.isFull ? await this.queue.wait(context, refusal) : this.queue.enter())
  }

  async calls(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) this.call().catch(() => {})
    await turn()
  }

  /** Ends the oldest of them. */
  async end(count: number, verdict?: CallVerdict): Promise<void> {
    for (const round of this.#rounds.splice(0, count)) {
      if (verdict === undefined) this.queue.succeeded(round)
      else this.queue.failed(round, verdict, noLeader)
    }
    await turn()
  }

  /** With 8 places, all taken, that grow by one for each round of calls. */
  static async behind(): Promise<Queued> {
    const queued = new Queued()
    await queued.calls(16)
    await queued.end(1, 'slow')
    await queued.end(7)
    assert.deepEqual(queued.queue.stats, { limit: 8, inFlight: 8, queued: 0 })
    return queued
  }

  /** With probes that are refused, until `ms` have passed. */
  async refuseFor(ms: number, verdict: CallVerdict): Promise<number> {
    const until = performance.now() + ms
    let sent = 0
    while (performance.now() < until) {
      sent += this.open
      assert.ok(this.open <= 4, `${this.open} calls were under way`)
      // What was refused comes back.
      const back = this.open
      await this.end(back, verdict)
      await this.calls(back)
      await sleep(1)
    }
    return sent
  }
}

describe('A call queue', () => {
  test('admits all calls while the cluster keeps up', async () => {
    const queued = new Queued()
    await queued.calls(5000)
    assert.equal(queued.open, 5000)
    await queued.end(2500)
    await queued.end(2500, 'nothing')
    assert.deepEqual(queued.queue.stats, { limit: noLimit, inFlight: 0, queued: 0 })
  })

  for (const [verdict, most] of [
    ['refused', 60],
    ['overloaded', 24],
  ] as const) {
    test(`sends some probes a second while all calls are ${verdict}, however many wait`, async () => {
      const queued = new Queued()
      await queued.calls(3000)
      await queued.end(3000, verdict)
      await queued.calls(3000)
      const sent = await queued.refuseFor(1000, verdict)
      assert.ok(sent >= 4 && sent <= most, `${sent} probes`)
    })
  }

  test('doubles its limit in each round when the cluster accepts calls again, and removes it in the end', async () => {
    const queued = new Queued()
    await queued.calls(3000)
    await queued.end(3000, 'refused')
    await queued.calls(3000)
    for (const expected of [4, 8, 16, 32, 64]) {
      assert.equal(queued.open, expected)
      await queued.end(queued.open)
    }
    let rounds = 5
    for (; queued.open > 0; rounds += 1) await queued.end(queued.open)
    assert.ok(rounds <= 12, `${rounds} rounds`)
    assert.deepEqual(queued.queue.stats, { limit: noLimit, inFlight: 0, queued: 0 })
  })

  test('takes half of the calls in flight as the capacity of an overloaded cluster', async () => {
    const queued = new Queued()
    await queued.calls(100)
    await queued.end(100, 'overloaded')
    await queued.calls(1000)
    const limits: number[] = []
    for (let round = 0; round < 7; round += 1) {
      await queued.end(queued.open)
      limits.push(queued.limit)
    }
    assert.deepEqual(limits, [8, 16, 32, 50, 51, 52, 53])
  })

  test('does not pause for one refused call while others succeed', async () => {
    const queued = new Queued()
    await queued.calls(10)
    for (let round = 0; round < 20; round += 1) {
      await queued.end(1, 'overloaded')
      await queued.calls(10)
      // Nothing but ends of calls is needed to let the others go.
      while (queued.open > 0) await queued.end(queued.open)
      assert.equal(queued.queue.stats.queued, 0)
    }
  })

  test('sends probes although earlier calls hang', async () => {
    const queued = new Queued()
    await queued.calls(100)
    await queued.end(1, 'refused')
    await queued.calls(10)
    assert.deepEqual(queued.queue.stats, { limit: 4, inFlight: 103, queued: 6 })
  })

  test('halves its limit once for all calls sent before when the cluster is slow', async () => {
    const queued = new Queued()
    await queued.calls(100)
    await queued.end(100, 'slow')
    assert.equal(queued.limit, 50)
    for (let round = 0; round < 10; round += 1) {
      await queued.calls(5)
      await queued.end(5, 'slow')
    }
    assert.equal(queued.limit, 4)
  })

  test('admits waiting calls in order', async () => {
    const queued = await Queued.behind()
    const order: number[] = []
    for (const index of [1, 2, 3]) void queued.call().then(() => order.push(index))
    await turn()
    assert.deepEqual([queued.open, queued.queue.stats.queued], [8, 3])
    while (queued.open > 0) await queued.end(1)
    assert.deepEqual([order, queued.queue.throttled], [[1, 2, 3], 3])
  })

  test('admits no new call before those that wait, while its limit grows by less than one', async () => {
    const queued = await Queued.behind()
    await queued.calls(10)
    await queued.end(8)
    await queued.end(1)
    assert.deepEqual(queued.queue.stats, { limit: 8, inFlight: 8, queued: 1 })
    assert.equal(queued.queue.isFull, true)
  })

  test('raises its limit by one in each round while the cluster is behind, and removes it in the end', async () => {
    const queued = await Queued.behind()
    await queued.calls(10_000)
    for (const [ended, expected] of [
      [8, 8], // sent before there was a limit
      [8, 8],
      [1, 9],
    ] as const) {
      await queued.end(ended)
      assert.equal(queued.limit, expected)
    }
    while (queued.queue.stats.queued > 0) await queued.end(queued.open)
    assert.ok(queued.limit > 100 && queued.limit < 200)
  })

  test('does not raise a limit that is not reached', async () => {
    const queued = await Queued.behind()
    await queued.end(8)
    for (let round = 0; round < 100; round += 1) {
      await queued.calls(5)
      await queued.end(5)
    }
    assert.equal(queued.limit, 8)
  })

  test('admits all calls when no member can be reached: they wait for a connection', async () => {
    const queued = new Queued()
    await queued.calls(4)
    await queued.end(4, 'refused')
    await queued.calls(10)
    await queued.end(1, 'unreachable')
    assert.deepEqual(queued.queue.stats, { limit: noLimit, inFlight: 9, queued: 0 })
  })

  test('rejects a call that is not admitted in time with the reason and effect none', async () => {
    const queued = await Queued.behind()
    const reason = new Error('enough')
    const controller = new AbortController()
    const late = { code: 'DEADLINE_EXCEEDED', effect: 'none', message: /8 in flight/ }
    const rejections = [
      assert.rejects(queued.call({ signal: controller.signal }), reason),
      assert.rejects(queued.call({ timeoutMs: 20 }), late),
      assert.rejects(queued.call({ timeoutMs: 50 }, noLeader), noLeader),
    ]
    controller.abort(reason)
    await Promise.all(rejections)
    await assert.rejects(queued.call({ signal: AbortSignal.abort(reason) }), reason)
    assert.deepEqual([queued.open, queued.queue.stats.queued], [8, 0])
    for (let round = 0; round < 3; round += 1) {
      await queued.calls(4)
      await queued.end(queued.open, 'refused')
    }
    const refused = { code: 'NO_LEADER', effect: 'none', retryable: true, cause: noLeader, message: /queued for/ }
    await assert.rejects(queued.call({ timeoutMs: 20 }), refused)
  })
})
