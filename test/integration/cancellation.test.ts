import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { beforeEach, describe, type TestContext, test } from 'node:test'
import { type ClientOptions, type Etcd, isEtcdError } from '../../src/index.js'
import { type FaultProxy, poll } from '../../src/testing/index.js'
import { useCluster, useProxy } from '../support/cluster.js'
import { memberAt, received, storedKey } from '../support/cluster-view.js'
import { attemptRecords, createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const reason = new Error('no longer wanted')

describe('An abort signal', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)

  beforeEach(() => {
    proxy.heal()
  })

  async function connected(t: TestContext, options?: ClientOptions): Promise<Etcd> {
    const etcd = createClient(t, cluster, options)
    await etcd.put('key', 'value')
    return etcd
  }

  /** Aborts the call that `make` makes when `when` resolves, and asserts that it rejects with the reason right then. */
  async function assertAborted(make: (signal: AbortSignal) => Promise<unknown>, when: () => Promise<unknown>) {
    const controller = new AbortController()
    const call = make(controller.signal)
    let settled = false
    const rejected = assert.rejects(
      call.finally(() => {
        settled = true
      }),
      (error) => error === reason,
    )
    await when()
    assert.equal(settled, false)
    const abortedAt = performance.now()
    controller.abort(reason)
    await rejected
    const tookMs = performance.now() - abortedAt
    assert.ok(tookMs < within(20), `it rejected after ${tookMs} ms`)
    assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
  }

  async function underWay(etcd: Etcd): Promise<void> {
    await poll('the call is sent', () => etcd.endpoints()[0]?.inFlight || undefined)
  }

  test('that aborts while the client connects rejects the call with its reason, and other calls keep waiting', async (t) => {
    proxy.blackhole()
    const etcd = createClient(t, cluster)
    const other = etcd.get('key')
    const connecting = () => poll('it connects', () => proxy.connections || undefined)
    await assertAborted((signal) => etcd.get('key', { signal }), connecting)
    await assertAborted((signal) => etcd.put('connecting', '', { signal }), connecting)
    await assertAborted((signal) => etcd.connect({ signal }), connecting)
    proxy.heal()
    await other
    await etcd.get('key')
    assert.equal(await storedKey(cluster, 'connecting'), undefined)
  })

  test('that aborts during a call rejects it immediately, and the member cancels it', async (t) => {
    const etcd = await connected(t)
    const resets = withoutAnswers(proxy)
    for (let count = 0; count < 3; count += 1) {
      await assertAborted(
        (signal) => etcd.get('key', { signal }),
        () => underWay(etcd),
      )
    }
    assert.equal(etcd.endpoints()[0]?.inFlight, 0)
    await poll('the streams are reset', () => resets() === 3 || undefined, { timeoutMs: within(1000) })
    proxy.heal()
    assert.equal((await etcd.get('key'))?.valueText, 'value')
    assert.equal(proxy.connections, 1)
  })

  test('that aborts after a write was sent neither undoes nor resends it', async (t) => {
    const etcd = await connected(t)
    const before = await received(memberAt(cluster, 0), 'Put')
    proxy.blackhole('down')
    await assertAborted(
      (signal) => etcd.put('sent', 'value', { signal }),
      () => poll('it is applied', () => storedKey(cluster, 'sent')),
    )
    proxy.heal()
    await etcd.get('key')
    assert.equal((await received(memberAt(cluster, 0), 'Put')) - before, 1)
    assert.equal((await storedKey(cluster, 'sent'))?.version, 1)
  })

  test('that aborts while a retry waits ends the wait, and nothing more is sent', async (t) => {
    const etcd = await connected(t)
    const attempts = attemptRecords(t)
    proxy.onData((bytes) => (bytes.includes('breaking') ? 'reset' : undefined))
    const repeated = () => poll('it was repeated', () => attempts.filter(({ outcome }) => !outcome.ok)[3])
    await assertAborted((signal) => etcd.get('breaking', { signal, timeoutMs: 60_000 }), repeated)
    const made = attempts.length
    proxy.heal()
    await etcd.get('key')
    assert.equal(attempts.filter(({ outcome }) => !outcome.ok).length, made)
  })

  test('that aborts ends transactions, updates, listings and calls of a namespace alike', async (t) => {
    const etcd = await connected(t)
    const kv = etcd.namespace('key')
    proxy.blackhole('down')
    const calls: ((options: { signal: AbortSignal }) => Promise<unknown>)[] = [
      (options) => etcd.txn().commit(options),
      (options) => etcd.update('key', () => 'new', options),
      (options) => etcd.deleteRange({ prefix: 'none' }, options),
      (options) => etcd.list({ prefix: '' }, options)[Symbol.asyncIterator]().next(),
      (options) => kv.count({ prefix: '' }, options),
      (options) => etcd.compact(1, options),
    ]
    for (const call of calls) {
      await assertAborted(
        (signal) => call({ signal }),
        () => underWay(etcd),
      )
    }
  })

  test('is shared by a thousand calls without a leak or a warning', async (t) => {
    const etcd = await connected(t)
    const { signal } = new AbortController()
    const warnings: Error[] = []
    const listen = (warning: Error) => warnings.push(warning)
    process.on('warning', listen)
    t.after(() => process.off('warning', listen))
    for (let count = 0; count < 10; count += 1) {
      await Promise.all(Array.from({ length: 100 }, () => etcd.get('key', { signal })))
    }
    await assert.rejects(etcd.compact(1e9, { signal }), { code: 'FUTURE_REVISION' })
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
    assert.deepEqual(warnings, [])
  })

  test('aborts all calls that share it at the same time', async (t) => {
    const etcd = await connected(t)
    proxy.blackhole('down')
    await assertAborted(
      (signal) => {
        const calls = Array.from({ length: 100 }, () => etcd.get('key', { signal }))
        return Promise.allSettled(calls).then((results) => {
          assert.ok(results.every((result) => result.status === 'rejected' && result.reason === reason))
          throw reason
        })
      },
      () => underWay(etcd),
    )
    assert.equal(etcd.endpoints()[0]?.inFlight, 0)
  })

  test('from AbortSignal.timeout() rejects with its TimeoutError', async (t) => {
    const etcd = await connected(t)
    proxy.blackhole('down')
    await assert.rejects(etcd.get('key', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
  })
})

describe('timeoutMs', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)

  /** Asserts that a call fails with one of the codes after `timeoutMs`, and not much later. */
  async function assertTimesOut(call: Promise<unknown>, timeoutMs: number, ...codes: readonly string[]) {
    const startedAt = performance.now()
    await assert.rejects(call, (error) => isEtcdError(error) && codes.includes(error.code))
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs > timeoutMs - 50 && tookMs < timeoutMs + within(150), `it took ${tookMs} ms`)
  }

  test('bounds connecting', async (t) => {
    proxy.blackhole()
    const etcd = createClient(t, cluster)
    await assertTimesOut(etcd.get('key', { timeoutMs: 300 }), 300, 'NOT_CONNECTED')
    await assertTimesOut(etcd.connect({ timeoutMs: 300 }), 300, 'NOT_CONNECTED')
  })

  test('bounds all attempts and the delays between them', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.connect()
    const attempts = attemptRecords(t)
    proxy.onData((bytes) => (bytes.includes('breaking') ? 'reset' : undefined))
    const startedAt = performance.now()
    await assert.rejects(etcd.get('breaking', { timeoutMs: 700 }), (error) => {
      assert.ok(isEtcdError(error) && error.attempts > 2, String(error))
      return ['CONNECTION_LOST', 'NOT_CONNECTED', 'DEADLINE_EXCEEDED'].includes(error.code)
    })
    // A wait that would pass the bound is not begun.
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs < within(800), `it took ${tookMs} ms`)
    assert.ok(attempts.length > 2)
  })

  test('on a call overrides that of the client, longer or shorter', async (t) => {
    const etcd = createClient(t, cluster, { timeoutMs: 400 })
    await etcd.connect()
    proxy.blackhole()
    await assertTimesOut(etcd.put('silent', '', { timeoutMs: 100 }), 100, 'DEADLINE_EXCEEDED')
    await Promise.all([
      assertTimesOut(etcd.put('silent', '', { timeoutMs: 700 }), 700, 'DEADLINE_EXCEEDED'),
      assertTimesOut(etcd.put('silent', ''), 400, 'DEADLINE_EXCEEDED'),
    ])
  })

  test('of Infinity sets no bound', async (t) => {
    const etcd = createClient(t, cluster, { timeoutMs: 50 })
    await etcd.connect()
    proxy.blackhole()
    const call = etcd.get('never written', { timeoutMs: Number.POSITIVE_INFINITY })
    await assertTimesOut(etcd.put('key', ''), 50, 'DEADLINE_EXCEEDED')
    await assertTimesOut(etcd.put('key', '', { timeoutMs: 500 }), 500, 'DEADLINE_EXCEEDED', 'CONNECTION_LOST')
    proxy.heal()
    assert.equal(await call, undefined)
    const unbounded = createClient(t, cluster, { timeoutMs: Number.POSITIVE_INFINITY })
    await unbounded.put('key', 'value')
    await assertTimesOut(unbounded.get('key', { timeoutMs: 0 }), 0, 'DEADLINE_EXCEEDED')
  })

  test('cancels the stream on the member', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.connect()
    const resets = withoutAnswers(proxy)
    await assertTimesOut(etcd.put('key', '', { timeoutMs: 200 }), 200, 'DEADLINE_EXCEEDED')
    await poll('the stream is reset', () => resets() === 1 || undefined, { timeoutMs: within(1000) })
  })
})

/** Holds back all answers, and counts the streams that the client resets meanwhile. */
function withoutAnswers(proxy: FaultProxy): () => number {
  // A frame of length 4, type RST_STREAM, without flags.
  const frame = '\0\0\x04\x03\0'
  let resets = 0
  proxy.blackhole('down')
  proxy.onData((bytes, { direction }) => {
    if (direction === 'up') resets += bytes.toString('latin1').split(frame).length - 1
    return undefined
  })
  return () => resets
}
