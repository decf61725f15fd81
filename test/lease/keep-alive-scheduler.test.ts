import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { KeepAliveOnce } from '../../src/lease/keep-alive-once.js'
import { LeaseRecord } from '../../src/lease/lease-record.js'
import { poll } from '../../src/testing/index.js'
import { FakeClock } from '../support/fake-clock.js'
import { Bench, denied, type FakeStream, reasonOf } from '../support/keep-alive-bench.js'

describe('The keep-alive scheduler', () => {
  test('renews after almost a third of the TTL, sends due renewals together, and repeats none that is pending', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    for (const id of ['a', 'b', 'c']) bench.lease(id, 6, { ageMs: 1500 })
    await clock.advance(200)
    assert.deepEqual(bench.stream.sent, [])
    await clock.advance(400)
    assert.deepEqual(bench.stream.sent, ['a', 'b', 'c'])
    await clock.advance(200)
    assert.deepEqual(bench.stream.sent, ['a', 'b', 'c'])
    assert.equal(bench.streams.length, 1)
  })

  test('counts the TTL from the request, and schedules the next renewal from there', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    const lease = bench.lease('a', 30, { ageMs: 10_000 })
    const sentAt = clock.now
    await clock.advance(100)
    assert.deepEqual(bench.stream.sent, ['a'])
    bench.stream.answer('a', 30)
    assert.equal(lease.expiresAt, sentAt + 30_000)
    assert.ok(lease.renewAt <= sentAt + 10_000 && lease.renewAt > sentAt + 8500)
  })

  test('keeps the expiry of the last renewal when an earlier one is answered after it', () => {
    const lease = new LeaseRecord({ id: 'a', ttlSeconds: 6, isKeptAlive: true, expiresAt: 6000, onLost: () => {} })
    lease.answered(6, 3000)
    const { renewAt } = lease
    lease.answered(6, 1000)
    assert.deepEqual([lease.expiresAt, lease.renewAt], [9000, renewAt])
  })

  test('reports the expiry at the deadline, not later and not before', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    const records = [bench.lease('a', 0.3), bench.lease('b', 0.3, { isKeptAlive: false })]
    await clock.advance(299)
    assert.deepEqual(
      records.map(({ ended }) => ended),
      [undefined, undefined],
    )
    await clock.advance(1)
    assert.deepEqual(records.map(reasonOf), ['expired', 'expired'])
    assert.equal(bench.lost.length, 2)
  })

  test('treats a TTL of 0 as a revocation', async (t) => {
    const bench = new Bench(t)
    const lease = bench.lease('a', 9, { ageMs: 8000 })
    await poll('it is sent', () => bench.stream.sent.length > 0 || undefined)
    bench.stream.answer('a', 0)
    assert.equal(reasonOf(lease), 'revoked')
    assert.ok(bench.stream.isCancelled)
  })

  test('reports `stalled` if the process did not run', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    const [first, second] = [bench.lease('a', 0.4), bench.lease('b', 0.4)]
    await clock.advance(20)
    clock.block(600)
    bench.scheduler.check(first)
    assert.equal(reasonOf(first), 'stalled')
    assert.equal(second.ended, undefined)
    await clock.advance(0)
    assert.equal(reasonOf(second), 'stalled')
  })

  test('reports `expired` if nothing could be done before the expiry, however late it is noticed', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    bench.isReachable = false
    const lease = bench.lease('a', 10)
    await clock.advance(9000)
    clock.block(2000)
    await clock.advance(0)
    assert.equal(reasonOf(lease), 'expired')
  })

  test('renews a lease of 3 s early enough for an election and several attempts', async (t) => {
    const bench = new Bench(t)
    const leftAfter = (ttlSeconds: number): number => {
      const lease = bench.lease(String(ttlSeconds), ttlSeconds)
      return Math.round((lease.expiresAt - lease.renewAt) / 10) / 100
    }
    assert.deepEqual([1, 2, 3].map(leftAfter), [0.83, 1.67, 2.5])
    for (const ttlSeconds of [4, 6, 60]) {
      const share = leftAfter(ttlSeconds) / ttlSeconds
      assert.ok(share > 0.66 && share < 0.71, `${share} of ${ttlSeconds} s`)
    }
  })

  test('repeats an unanswered renewal on another member, and keeps the first stream that answers', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    bench.members = ['a', 'b', 'c']
    const lease = bench.lease('1', 3, { ageMs: 450 })
    const other = bench.lease('2', 90)
    await clock.advance(250)
    assert.deepEqual([bench.streams[0]?.sent, bench.streams.length], [['1'], 1])
    await clock.advance(250)
    assert.deepEqual(bench.streams[1]?.sent, ['1'])
    assert.equal(bench.streams[0]?.isCancelled, false)
    assert.deepEqual([bench.streams[1]?.excludedEndpoints, bench.suspected, bench.emitted], [['a'], ['a'], []])
    bench.streams[1]?.answer('1', 3)
    assert.ok(bench.streams[0]?.isCancelled)
    assert.deepEqual(
      bench.emitted.map(([name, payload]) => [name, 'endpoint' in payload && payload.endpoint]),
      [
        ['keepAliveLost', 'a'],
        ['keepAliveResumed', 'b'],
      ],
    )
    assert.ok(bench.scheduler.isConnected)
    assert.deepEqual([lease.ended, other.ended, bench.streams.length], [undefined, undefined, 2])
  })

  test('keeps a stream that answers late, and closes the streams that were opened in parallel', async (t) => {
    const bench = new Bench(t)
    const lease = bench.lease('1', 3, { ageMs: 400 })
    await poll('there is another stream', () => bench.streams[1]?.sent.length === 1 || undefined)
    bench.streams[0]?.answer('1', 3)
    assert.deepEqual([bench.streams[0]?.isCancelled, bench.streams[1]?.isCancelled], [false, true])
    assert.deepEqual([lease.ended, bench.emitted], [undefined, []])
  })

  test('opens further streams while all are silent, at most three at a time', async (t) => {
    const bench = new Bench(t)
    bench.members = ['a', 'b', 'c']
    const lease = bench.lease('1', 3, { ageMs: 400 })
    await poll('there are six', () => bench.streams[5]?.sent.length === 1 || undefined)
    assert.equal(bench.streams.filter(({ isCancelled }) => !isCancelled).length, 3)
    assert.deepEqual(
      bench.streams.map(({ excludedEndpoints }) => excludedEndpoints.join('')),
      ['', 'a', 'ab', 'c', 'ca', 'b'],
    )
    assert.deepEqual([bench.emitted.map(([name]) => name), bench.scheduler.isConnected], [['keepAliveLost'], false])
    bench.stream.answer('1', 3)
    assert.equal(bench.streams.filter(({ isCancelled }) => !isCancelled).length, 1)
    assert.deepEqual([lease.ended, bench.scheduler.isConnected], [undefined, true])
    assert.ok(lease.expiresAt - performance.now() > 2900)
  })

  test('detects a silent member also by single renewals', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    const ask = (): void => {
      const waiter = { resolve: () => {}, reject: () => {} }
      bench.scheduler.add(new KeepAliveOnce({ id: '1', deadlineAt: performance.now() + 10_000, waiter }))
    }
    for (let passedMs = 0; bench.streams.length < 2; passedMs += 200) {
      assert.ok(passedMs <= 2500, `${bench.streams.length} streams after ${passedMs} ms`)
      ask()
      await clock.advance(200)
    }
    assert.deepEqual(bench.suspected, ['a'])
  })

  test('suspects a member that did not answer a single renewal before its deadline', async (t) => {
    const bench = new Bench(t)
    await assert.rejects(
      new Promise((resolve, reject) => {
        const waiter = { resolve, reject }
        bench.scheduler.add(new KeepAliveOnce({ id: '1', deadlineAt: performance.now() + 200, waiter }))
      }),
      { code: 'DEADLINE_EXCEEDED' },
    )
    assert.deepEqual(bench.suspected, ['a'])
  })

  test('ignores responses of a leader from an earlier term', async (t) => {
    const bench = new Bench(t)
    bench.members = ['a', 'b']
    bench.raftTerm = 3
    const lease = bench.lease('1', 9, { ageMs: 8000 })
    const { expiresAt } = lease
    await poll('it is sent', () => bench.streams[0]?.sent.length || undefined)
    bench.streams[0]?.answer('1', 9)
    assert.deepEqual([lease.expiresAt, bench.streams[0]?.isCancelled], [expiresAt, true])
    await poll('it is sent elsewhere', () => bench.streams[1]?.sent.length || undefined)
    bench.stream.answer('1', 9, 3)
    assert.ok(lease.expiresAt > expiresAt)
  })

  test('closes a stream that opens after the last lease has ended', async (t) => {
    const bench = new Bench(t)
    bench.scheduler.remove(bench.lease('1', 60))
    await poll('it is opened', () => bench.streams[0])
    assert.ok(bench.stream.isCancelled)
  })

  test('loses only the lease that the user may not renew', async (t) => {
    const bench = new Bench(t)
    const leases = ['a', 'b', 'c'].map((id) => bench.lease(id, 9, { ageMs: 8000 }))
    await poll('they are sent', () => bench.stream.sent.length === 3 || undefined)
    bench.stream.answer('a', 9)
    bench.stream.listener.onEnd(denied())
    await poll('the rest is sent again', () => bench.streams[1]?.sent.length === 1 || undefined)
    assert.deepEqual(bench.stream.sent, ['c'])
    assert.deepEqual(
      leases.map(({ ended }) => ended),
      [undefined, 'refused', undefined],
    )
    assert.deepEqual(bench.emitted, [])
  })

  test('opens a new stream for a new token without an event, and backs off if that does not help', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    bench.replacesTokens = true
    const lease = bench.lease('a', 0.9, { ageMs: 300 })
    const refusal = new EtcdError('invalid auth token', { code: 'INVALID_AUTH_TOKEN', effect: 'none' })
    const refused = new Set<FakeStream>()
    while (lease.ended === undefined) {
      const { streams, emitted } = bench
      if (streams.length < 4) assert.deepEqual(emitted, [])
      const last = streams.at(-1)
      if (last !== undefined && last.sent.length > 0 && !refused.has(last)) {
        refused.add(last)
        last.listener.onEnd(refusal)
      }
      await clock.advance(1)
    }
    assert.equal(reasonOf(lease), 'refused')
    assert.equal(lease.signal.reason.cause, refusal)
    assert.ok(bench.streams.length >= 4 && bench.streams.length < 16, `${bench.streams.length} streams`)
  })

  test('has no stream without a lease to renew', async (t) => {
    const clock = new FakeClock(t)
    const bench = new Bench(t)
    bench.lease('a', 60, { isKeptAlive: false })
    await clock.advance(20)
    assert.equal(bench.streams.length, 0)
    const lease = bench.lease('b', 60)
    await clock.advance(0)
    assert.equal(bench.streams.length, 1)
    bench.scheduler.remove(lease)
    assert.ok(bench.stream.isCancelled)
  })

  test('does not spin with a lease of 100 days', async (t) => {
    const clock = new FakeClock(t)
    const plans = t.mock.method(globalThis, 'setTimeout')
    const bench = new Bench(t)
    bench.lease('a', 100 * 24 * 3600)
    await clock.advance(100)
    assert.deepEqual(bench.stream.sent, [])
    const delays = plans.mock.calls.map(({ arguments: [, delayMs] }) => Number(delayMs))
    assert.ok(delays.length < 5, `${delays.length} timers`)
    assert.ok(delays.every((delayMs) => delayMs < 2 ** 31))
  })

  test('ends all leases when the client closes, and accepts no more', (t) => {
    const bench = new Bench(t)
    const lease = bench.lease('a', 60)
    bench.scheduler.close()
    assert.equal(reasonOf(lease), 'closed')
    assert.equal(reasonOf(bench.lease('b', 60)), 'closed')
    assert.deepEqual(bench.lost, [])
  })
})
