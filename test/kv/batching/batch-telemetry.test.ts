import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { EtcdError } from '../../../src/core/errors.js'
import { attemptObserver, callObserver } from '../../../src/interceptors/observe.js'
import { withReadBatches } from '../../../src/kv/batching/read-batches.js'
import { interceptKv, kvService } from '../../../src/kv/kv-service.js'
import type { RangeResponse } from '../../../src/protobuf/generated/messages.js'
import { channels } from '../../../src/telemetry/channels.js'
import { ClientTelemetry } from '../../../src/telemetry/client-telemetry.js'
import type { AttemptRecord, CallRecord } from '../../../src/telemetry/records.js'
import { progressOf } from '../../../src/transport/call-progress.js'
import { anyMember, callContext, type Interceptor, intercept } from '../../../src/transport/transport.js'
import { recordsOf } from '../../support/channels.js'
import { type FakeCall, fakeTransport, header } from '../../support/fake-transport.js'

const answer: RangeResponse = { header: header(), kvs: [], more: false, count: 0 }

function answerAll({ request }: FakeCall): unknown {
  if (!Array.isArray(request)) return answer
  return { header: header(), responses: request.map(() => ({ ...answer })), sizes: request.map(() => 10) }
}

/** Takes some time, as the authentication interceptor may. */
const waitForToken: Interceptor = async (method, request, context, next) => {
  const startedAt = performance.now()
  await wait(5)
  progressOf.auth(context).authMs += performance.now() - startedAt
  return next(method, request, context)
}

interface Ask {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  readonly serializable?: boolean
}

/** Reads through the batching and observing parts of a client; `reply` answers the attempts. */
function observed(reply: (call: FakeCall, index: number) => unknown) {
  const telemetry = new ClientTelemetry({ name: 'app', namespace: undefined, keys: true, slowCallMs: 300 })
  const inner = fakeTransport(async (call, index) => {
    progressOf.wire(call.context).endpoint = 'm0'
    return reply(call, index)
  })
  const options = { maxOps: 128, maxBytes: 1e6, servesBatches: () => true, minRevision: () => 0 }
  const attempts = intercept(inner, waitForToken, attemptObserver(telemetry))
  const kv = interceptKv(
    withReadBatches(kvService(attempts), attempts, options),
    callObserver(telemetry, () => 'leader'),
  )
  const read = (key: string, { signal, timeoutMs = 10_000, serializable = false }: Ask = {}) => {
    const route = { ...anyMember, serializable }
    const context = callContext({ signal, timeoutMs }, { repeatable: true, requiresFloor: !serializable, route })
    return kv.range({ key: Buffer.from(key) }, context)
  }
  return { read, inner }
}

function callsOf(t: TestContext): (key: string) => CallRecord {
  const records = recordsOf<CallRecord>(t, channels.call)
  return (key) => records.find(({ request }) => request.keyText === key) ?? assert.fail(`there is no record of ${key}`)
}

function assertTimesAddUp(record: CallRecord): void {
  const { durationMs, queueMs, authMs, connectMs, backoffMs, wireMs } = record
  assert.ok(Math.abs(queueMs + authMs + connectMs + backoffMs + wireMs - durationMs) < 1e-6, JSON.stringify(record))
}

describe('The record of a batched call', () => {
  test('has the attempts of its batch', async (t) => {
    const attempts = recordsOf<AttemptRecord>(t, channels.attempt)
    const callOf = callsOf(t)
    const { read } = observed(async (call) => {
      await wait(5)
      progressOf.wire(call.context).connectMs += 4
      await wait(20)
      return answerAll(call)
    })
    await Promise.all(['a', 'b', 'b'].map((key) => read(key)))
    const [attempt = assert.fail(), ...others] = attempts
    assert.deepEqual(others, [])
    assert.deepEqual([attempt.method, attempt.operations, attempt.reason], ['KV.Txn', 2, 'first'])
    assert.deepEqual(attempt.batch, { method: 'KV.Range', calls: 3 })
    assert.equal(attempt.callId, callOf('a').callId)
    for (const record of ['a', 'b'].map(callOf)) {
      assert.deepEqual([record.method, record.attempts, record.endpoint, record.role], ['KV.Range', 1, 'm0', 'leader'])
      assert.equal(record.attemptRecords[0], attempt)
      assert.ok(record.authMs > 3 && record.connectMs === 4, `${record.authMs} and ${record.connectMs} ms`)
      assert.ok(record.wireMs > 10 && record.wireMs <= attempt.durationMs, `${record.wireMs} ms`)
      assert.ok(record.requestBytes > 0)
      assertTimesAddUp(record)
    }
  })

  test('continues with separate attempts if the batch is refused', async (t) => {
    const callOf = callsOf(t)
    const { read } = observed((call) => {
      if (!Array.isArray(call.request)) return answer
      throw new EtcdError('permission denied', { code: 'PERMISSION_DENIED', effect: 'none', method: 'KV.Txn' })
    })
    await Promise.all(['a', 'b'].map((key) => read(key)))
    for (const { attemptRecords, attempts, callId } of ['a', 'b'].map(callOf)) {
      const recorded = attemptRecords.map(({ method, attempt, reason, batch }) => [
        method,
        attempt,
        reason,
        batch?.calls,
      ])
      assert.deepEqual(recorded, [
        ['KV.Txn', 1, 'first', 2],
        ['KV.Range', 2, 'PERMISSION_DENIED', undefined],
      ])
      assert.deepEqual([attempts, attemptRecords[1]?.callId], [2, callId])
    }
  })

  test('ends with the state of the batch when the call leaves it', async (t) => {
    const callOf = callsOf(t)
    const wire = new EventEmitter()
    const { read } = observed(async (call) => {
      wire.emit('sent')
      await once(wire, 'released')
      return answerAll(call)
    })
    const isSent = once(wire, 'sent')
    const controller = new AbortController()
    const aborted = assert.rejects(read('a', { signal: controller.signal }), /enough/)
    const expired = assert.rejects(read('b', { timeoutMs: 400 }), { code: 'DEADLINE_EXCEEDED' })
    const stayed = read('c')
    await isSent
    await wait(20)
    controller.abort(new Error('enough'))
    await Promise.all([aborted, expired])
    wire.emit('released')
    await stayed
    for (const key of ['a', 'b']) {
      const record = callOf(key)
      const [left = assert.fail(), ...others] = record.attemptRecords
      assert.deepEqual([others, record.attempts, left.endpoint, record.endpoint], [[], 1, 'm0', 'm0'])
      assert.deepEqual(left.outcome, record.outcome)
      assert.deepEqual(left.batch, { method: 'KV.Range', calls: 3 })
      assert.ok(record.wireMs > 10, `${record.wireMs} ms`)
      assertTimesAddUp(record)
    }
    assert.deepEqual([callOf('c').attempts, callOf('c').outcome.ok], [1, true])
  })

  test('omits the time before the call joined a batch in flight', async (t) => {
    const callOf = callsOf(t)
    let join = (): void => {}
    const joining = new Promise<void>((resolve) => {
      join = resolve
    })
    const { read, inner } = observed(async (call) => {
      progressOf.wire(call.context).connectMs += 50
      await joining
      await wait(5)
      return answerAll(call)
    })
    const first = read('a', { serializable: true })
    await wait(55)
    const records = recordsOf<CallRecord>(t, channels.call)
    const second = read('a', { serializable: true })
    join()
    await Promise.all([first, second])
    assert.equal(inner.calls.length, 1)
    const [one = assert.fail(), joined = assert.fail()] = [...records].sort((a, b) => b.durationMs - a.durationMs)
    assert.equal(callOf('a').attemptRecords[0], one.attemptRecords[0])
    assert.deepEqual(joined.attemptRecords, one.attemptRecords)
    assert.deepEqual(joined.attemptRecords[0]?.batch, { method: 'KV.Range', calls: 2 })
    assert.deepEqual([joined.attempts, joined.connectMs, joined.endpoint], [1, 0, 'm0'])
    assert.ok(joined.wireMs <= joined.durationMs && joined.durationMs < (one.attemptRecords[0]?.durationMs ?? 0))
    assertTimesAddUp(joined)
  })
})
