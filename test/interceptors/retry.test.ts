import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { shareable } from '../../src/core/abort.js'
import { EtcdError, type EtcdErrorInit } from '../../src/core/errors.js'
import { CallQueues, type RetryDelay, retryInterceptor } from '../../src/interceptors/retry.js'
import { defaultRetryPolicy } from '../../src/interceptors/retry-options.js'
import { methods } from '../../src/protobuf/methods.js'
import { poll } from '../../src/testing/index.js'
import { progressOf } from '../../src/transport/call-progress.js'
import { type CallKind, type CallOptions, callContext, intercept } from '../../src/transport/transport.js'
import { type FakeCall, fakeTransport } from '../support/fake-transport.js'
import { within } from '../support/slack.js'

const lost = { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true } as const
const refused = { code: 'NO_LEADER', effect: 'none', retryable: true } as const
const broken = { code: 'PERMISSION_DENIED', effect: 'none', retryable: false } as const
/** Refusals that say that another member would accept the call. */
const toLearner = { code: 'NOT_SUPPORTED_FOR_LEARNER', effect: 'none', retryable: true } as const
const toFollower = { code: 'NOT_LEADER', effect: 'none', retryable: true } as const
const read = { repeatable: true }
const pinned = { ...read, route: { serializable: false, prefer: undefined, endpoint: 'e0' } }
const write = { repeatable: false }

interface Setting {
  readonly kind?: CallKind
  readonly options?: CallOptions
  readonly timeoutMs?: number
  /** Which members are left that have not failed the call. */
  readonly members?: readonly string[]
  readonly queues?: CallQueues
  readonly unansweredDelay?: RetryDelay
  readonly maxAttempts?: number
}

function failure(init: EtcdErrorInit): EtcdError {
  return new EtcdError('failed', init)
}

/** Makes a call whose attempts fail as listed, each on another endpoint, and then succeed. */
async function run(failures: readonly EtcdErrorInit[], setting: Setting = {}) {
  const { kind = read, options, timeoutMs = 2000, members = [], queues = new CallQueues(), unansweredDelay } = setting
  const context = callContext({ timeoutMs, ...options }, kind)
  const transport = fakeTransport((call: FakeCall, index) => {
    progressOf.wire(context).endpoint = `e${index}`
    const init = failures[index]
    if (init !== undefined) throw failure(init)
    return { kvs: [], attempt: index, call }
  })
  const hasUntriedEndpoint = (_: unknown, excludedEndpoints: ReadonlySet<string>) =>
    members.some((member) => !excludedEndpoints.has(member))
  const delays = unansweredDelay === undefined ? {} : { unansweredDelay }
  const policy = { ...defaultRetryPolicy, maxAttempts: setting.maxAttempts ?? defaultRetryPolicy.maxAttempts }
  const retried = intercept(transport, retryInterceptor({ policy, queues, hasUntriedEndpoint, ...delays }))
  const startedAt = performance.now()
  const outcome = await retried.unary(methods.KV.Range, {}, context).then(
    () => 'ok',
    (error: unknown) => (error instanceof EtcdError ? error.code : error),
  )
  return { outcome, calls: transport.calls.length, progress: context.progress, tookMs: performance.now() - startedAt }
}

describe('Retries', () => {
  const cases: [string, EtcdErrorInit[], CallKind, string, number][] = [
    ['a read that was lost is repeated', [lost, lost], read, 'ok', 3],
    ['a write that was lost is never repeated', [lost], write, 'CONNECTION_LOST', 1],
    ['a write that was refused without effect is repeated', [refused, refused], write, 'ok', 3],
    ['a write that is lost at its repeat is not repeated again', [refused, lost], write, 'CONNECTION_LOST', 2],
    ['a call that another member would accept is repeated there', [toLearner, toFollower], read, 'ok', 3],
    [
      'a call to one member is not repeated if no learner serves it',
      [toLearner],
      pinned,
      'NOT_SUPPORTED_FOR_LEARNER',
      1,
    ],
    ['a call to one member is not repeated if only the leader serves it', [toFollower], pinned, 'NOT_LEADER', 1],
    ['a call to one member is repeated after other refusals', [refused], pinned, 'ok', 2],
    ['what will not pass is not repeated', [broken], read, 'PERMISSION_DENIED', 1],
    ['what will not pass ends the repeats', [lost, broken], read, 'PERMISSION_DENIED', 2],
  ]
  for (const [name, failures, kind, outcome, calls] of cases) {
    test(name, async () => {
      const result = await run(failures, { kind })
      assert.deepEqual([result.outcome, result.calls], [outcome, calls])
    })
  }

  test('are limited by `maxAttempts`, the first attempt included', async () => {
    for (const maxAttempts of [1, 3]) {
      const result = await run(new Array(10).fill(refused), { maxAttempts })
      assert.deepEqual([result.outcome, result.calls], ['NO_LEADER', maxAttempts])
    }
  })

  test('end when the signal has aborted during an attempt', async () => {
    const controller = new AbortController()
    const transport = fakeTransport((_, index) => {
      if (index > 0) return { kvs: [] }
      controller.abort(new Error('enough'))
      throw failure(lost)
    })
    const retry = retryInterceptor({ queues: new CallQueues(), hasUntriedEndpoint: () => true })
    const context = callContext({ signal: controller.signal }, read)
    await assert.rejects(intercept(transport, retry).unary(methods.KV.Range, {}, context), { code: 'CONNECTION_LOST' })
    assert.equal(transport.calls.length, 1)
  })

  test('does not repeat a wait for a connection that timed out', async () => {
    const transport = fakeTransport(() => {
      throw failure({ code: 'NOT_CONNECTED', effect: 'none', retryable: true })
    })
    const retry = retryInterceptor({ queues: new CallQueues(), hasUntriedEndpoint: () => false })
    const call = intercept(transport, retry).unary(methods.KV.Range, {}, callContext(undefined, read))
    await assert.rejects(call, { code: 'NOT_CONNECTED' })
    assert.equal(transport.calls.length, 1)
  })

  test('records that an earlier attempt may have been applied', async () => {
    for (const [failures, mayBeApplied] of [
      [[refused], false],
      [[lost], true],
      [[lost, refused], true],
      [[broken], false],
    ] as const) {
      assert.equal((await run(failures)).progress.mayBeApplied, mayBeApplied)
    }
  })

  test('retries at once while there is an untried member, and backs off after that', async () => {
    const failures = new Array(6).fill(lost)
    const fresh = await run(failures, { members: ['e0', 'e1', 'e2', 'e3', 'e4', 'e5', 'e6'] })
    assert.equal(fresh.outcome, 'ok')
    assert.ok(fresh.progress.backoffMs < within(20), `it waited ${fresh.progress.backoffMs} ms`)
    assert.deepEqual([...(fresh.progress.failedEndpoints ?? [])], ['e0', 'e1', 'e2', 'e3', 'e4', 'e5'])
    const known = await run(failures)
    assert.ok(known.progress.backoffMs > 20, `it waited ${known.progress.backoffMs} ms`)
  })

  test('waits longer for calls that are expensive for the members, but only after an attempt that was not answered', async () => {
    const unansweredDelay = { minMs: 150, baseMs: 150, maxMs: 150 }
    const unanswered = await run([lost, lost], { unansweredDelay })
    assert.ok(unanswered.progress.backoffMs >= 295, `it waited ${unanswered.progress.backoffMs} ms`)
    const answered = await run([refused], { unansweredDelay })
    assert.ok(answered.progress.backoffMs < within(100), `it waited ${answered.progress.backoffMs} ms`)
  })

  test('rejects with the last error when the next backoff would pass the deadline', async () => {
    const { outcome, calls, tookMs } = await run(new Array(1000).fill(refused), { timeoutMs: 150 })
    assert.equal(outcome, 'NO_LEADER')
    assert.ok(calls > 2 && calls < 60, `${calls} calls`)
    assert.ok(tookMs < within(250))
  })

  test('backs off longer for an overloaded member, and does not try others', async () => {
    const overloaded = { code: 'TOO_MANY_REQUESTS', effect: 'none', retryable: true } as const
    const { calls } = await run(new Array(1000).fill(overloaded), { timeoutMs: 300, members: ['e99'] })
    assert.ok(calls < 15, `${calls} calls`)
  })

  test('rejects with the reason of the signal during a backoff', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => controller.abort(reason), 30)
    const { outcome, tookMs } = await run(new Array(1000).fill(refused), { options: { signal: controller.signal } })
    assert.ok(outcome === reason || outcome === 'NO_LEADER')
    assert.ok(tookMs < within(300), `it took ${tookMs} ms`)
  })

  test('queues calls while all calls are refused, and no others', async () => {
    const queues = new CallQueues()
    const waiting = run(new Array(1000).fill(refused), { queues, timeoutMs: 400 })
    await sleep(200)
    const serializable = { ...read, route: { serializable: true, prefer: undefined, endpoint: undefined } }
    for (const kind of [write, serializable, pinned]) {
      const { calls, progress } = await run([], { queues, kind: { ...kind, proposal: kind === write } })
      assert.deepEqual([calls, progress.backoffMs], [1, 0])
    }
    // Between its waits it is being attempted.
    await poll('the refused call waits', () => queues.throttled > 0 || undefined, { intervalMs: 1 })
    assert.equal((await waiting).outcome, 'NO_LEADER')
  })

  test('admits waiting calls when the client closes', async () => {
    const controller = new AbortController()
    const queues = new CallQueues()
    const closed = { code: 'CLOSED', effect: 'none' } as const
    const transport = fakeTransport(() => {
      throw failure(controller.signal.aborted ? closed : refused)
    })
    const options = { queues, hasUntriedEndpoint: () => false, closing: shareable(controller.signal) }
    const retried = intercept(transport, retryInterceptor(options))
    const calls = Array.from({ length: 20 }, () => retried.unary(methods.KV.Range, {}, callContext(undefined, read)))
    const outcomes = Promise.allSettled(calls)
    await sleep(100)
    const closedAt = performance.now()
    controller.abort()
    for (const outcome of await outcomes) {
      assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'CLOSED')
    }
    assert.ok(performance.now() - closedAt < within(50))
    assert.equal(queues.writes.queued, 0)
  })
})
