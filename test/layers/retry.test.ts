import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError, type EtcdErrorInit } from '../../src/core/errors.js'
import { RetryBudget } from '../../src/layers/retry-budget.js'
import { retryLayer } from '../../src/layers/retry-layer.js'
import { type CallContext, type CallKind, type CallOptions, callContext } from '../../src/transport/transport.js'
import { methods } from '../../src/wire/methods.js'
import { type FakeCall, fakeTransport } from '../support/fake-transport.js'

const lost = { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true } as const
const refused = { code: 'NO_LEADER', effect: 'none', retryable: true } as const
const broken = { code: 'PERMISSION_DENIED', effect: 'none', retryable: false } as const
const read = { repeatable: true }
const write = { repeatable: false }

interface Setting {
  readonly kind?: CallKind
  readonly options?: CallOptions
  readonly timeoutMs?: number
  /** Which members are left that have not failed the call. */
  readonly members?: readonly string[]
  readonly budget?: RetryBudget
}

function failure(init: EtcdErrorInit): EtcdError {
  return new EtcdError('failed', init)
}

/** Makes a call whose attempts fail as listed, each on another endpoint, and then succeed. */
async function run(failures: readonly EtcdErrorInit[], setting: Setting = {}) {
  const { kind = read, options, timeoutMs = 2000, members = [], budget = plenty() } = setting
  const context: CallContext = callContext(options, kind)
  context.deadlineAt = context.startedAt + timeoutMs
  const transport = fakeTransport((call: FakeCall, index) => {
    context.endpoint = `e${index}`
    const init = failures[index]
    if (init !== undefined) throw failure(init)
    return { kvs: [], attempt: index, call }
  })
  const hasFresh = (_: unknown, failedOn: ReadonlySet<string>) => members.some((member) => !failedOn.has(member))
  const layer = retryLayer({ budget, hasFresh })(transport)
  const startedAt = performance.now()
  const outcome = await layer.unary(methods.KV.Range, {}, context).then(
    () => 'ok',
    (error: unknown) => (error instanceof EtcdError ? error.code : error),
  )
  return { outcome, calls: transport.calls.length, context, tookMs: performance.now() - startedAt }
}

function plenty(): RetryBudget {
  return new RetryBudget({ capacity: 100, perSecond: 100, perSuccess: 1 })
}

describe('The retry layer', () => {
  const cases: [string, EtcdErrorInit[], CallKind, string, number][] = [
    ['a read that was lost is repeated', [lost, lost], read, 'ok', 3],
    ['a write that was lost is never repeated', [lost], write, 'CONNECTION_LOST', 1],
    ['a write that was refused without effect is repeated', [refused, refused], write, 'ok', 3],
    ['a write that is lost at its repeat is not repeated again', [refused, lost], write, 'CONNECTION_LOST', 2],
    ['what will not pass is not repeated', [broken], read, 'PERMISSION_DENIED', 1],
    ['what will not pass ends the repeats', [lost, broken], read, 'PERMISSION_DENIED', 2],
  ]
  for (const [name, failures, kind, outcome, calls] of cases) {
    test(name, async () => {
      const result = await run(failures, { kind })
      assert.deepEqual([result.outcome, result.calls], [outcome, calls])
    })
  }

  test('does not repeat a wait for a connection that was in vain', async () => {
    const transport = fakeTransport(() => {
      throw failure({ code: 'NOT_CONNECTED', effect: 'none', retryable: true })
    })
    const layer = retryLayer({ budget: plenty(), hasFresh: () => false })(transport)
    const call = layer.unary(methods.KV.Range, {}, callContext(undefined, read))
    await assert.rejects(call, { code: 'NOT_CONNECTED' })
    assert.equal(transport.calls.length, 1)
  })

  test('repeats at once while there is a member that has not failed the call, and waits after that', async () => {
    const failures = new Array(6).fill(lost)
    const fresh = await run(failures, { members: ['e0', 'e1', 'e2', 'e3', 'e4', 'e5', 'e6'] })
    assert.equal(fresh.outcome, 'ok')
    assert.ok(fresh.context.backoffMs < 20, `it waited ${fresh.context.backoffMs} ms`)
    assert.deepEqual([...(fresh.context.failedOn ?? [])], ['e0', 'e1', 'e2', 'e3', 'e4', 'e5'])
    const known = await run(failures)
    assert.ok(known.context.backoffMs > 20, `it waited ${known.context.backoffMs} ms`)
  })

  test('ends with the last error when the next wait would pass the deadline', async () => {
    const { outcome, calls, tookMs } = await run(new Array(1000).fill(refused), { timeoutMs: 150 })
    assert.equal(outcome, 'NO_LEADER')
    assert.ok(calls > 2 && calls < 60, `${calls} calls`)
    assert.ok(tookMs < 250)
  })

  test('gives an overloaded member longer rests, and does not turn to others for it', async () => {
    const overloaded = { code: 'TOO_MANY_REQUESTS', effect: 'none', retryable: true } as const
    const { calls } = await run(new Array(1000).fill(overloaded), { timeoutMs: 300, members: ['e99'] })
    assert.ok(calls < 15, `${calls} calls`)
  })

  test('ends its wait with the reason of the signal', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => controller.abort(reason), 30)
    const { outcome, tookMs } = await run(new Array(1000).fill(refused), { options: { signal: controller.signal } })
    assert.ok(outcome === reason || outcome === 'NO_LEADER')
    assert.ok(tookMs < 300, `it took ${tookMs} ms`)
  })

  test('makes no more repeats than its budget has', async () => {
    const budget = new RetryBudget({ capacity: 3, perSecond: 10, perSuccess: 0 })
    const members = Array.from({ length: 100 }, (_, index) => `e${index}`)
    const { calls } = await run(new Array(1000).fill(refused), { budget, members, timeoutMs: 250 })
    assert.ok(calls >= 4 && calls <= 8, `${calls} calls`)
  })
})

describe('The retry budget', () => {
  const unbounded = { signal: undefined, deadlineAt: Number.POSITIVE_INFINITY }
  const timed = async (run: () => Promise<unknown>) => {
    const startedAt = performance.now()
    await run()
    return performance.now() - startedAt
  }

  test('gives its capacity at once and then so many a second, each caller in turn', async () => {
    const budget = new RetryBudget({ capacity: 2, perSecond: 20, perSuccess: 0 })
    assert.ok((await timed(() => Promise.all([budget.take(unbounded), budget.take(unbounded)]))) < 20)
    const waits = await Promise.all([1, 2, 3].map(() => timed(() => budget.take(unbounded))))
    waits.forEach((waitMs, index) => {
      assert.ok(waitMs > 50 * index + 30 && waitMs < 50 * index + 120, `${waits}`)
    })
  })

  test('lets nobody wait for a repeat that would come too late, and owes nothing for those who left', async () => {
    const budget = new RetryBudget({ capacity: 1, perSecond: 10, perSuccess: 0 })
    assert.equal(await budget.take(unbounded), true)
    const deadlineAt = performance.now() + 1050
    const tookMs = await timed(async () => {
      const taken = await Promise.all(
        Array.from({ length: 1000 }, () => budget.take({ signal: undefined, deadlineAt })),
      )
      assert.equal(taken.filter((isTaken) => isTaken).length, 10)
    })
    assert.ok(tookMs < 1300, `${tookMs} ms`)
    const abort = new AbortController()
    const leaving = Array.from({ length: 100 }, () => budget.take({ ...unbounded, signal: abort.signal }))
    abort.abort(new Error('enough'))
    await Promise.allSettled(leaving)
    assert.ok((await timed(() => budget.take(unbounded))) < 300)
  })

  test('earns from calls that succeed, up to its capacity', async () => {
    const budget = new RetryBudget({ capacity: 1, perSecond: 0.001, perSuccess: 0.5 })
    await budget.take(unbounded)
    for (let count = 0; count < 10; count += 1) budget.deposit()
    assert.ok((await timed(() => budget.take(unbounded))) < 20)
    await assert.rejects(budget.take({ ...unbounded, signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' })
  })
})
