import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { KeepAliveOnce } from '../../src/lease/keep-alive-once.js'
import type { LeaseRecord } from '../../src/lease/lease-record.js'
import { FakeClock } from '../support/fake-clock.js'
import { Bench, denied, reasonOf } from '../support/keep-alive-bench.js'

/** A scheduler on a clock that the test moves. */
function benchOf(t: TestContext, members: readonly string[] = ['a']): { bench: Bench; clock: FakeClock } {
  const clock = new FakeClock(t)
  const bench = new Bench(t)
  bench.members = members
  return { bench, clock }
}

/** A lease whose renewal is due now, with 10 s left. */
function dueLease(bench: Bench, id: string) {
  return bench.lease(id, 90, { ageMs: 80_000 })
}

/** Moves the clock to the next renewal. */
function untilDue(lease: LeaseRecord, clock: FakeClock): Promise<void> {
  return clock.advance(Math.ceil(lease.renewAt - clock.now) + 1)
}

const cut = new EtcdError('cut', { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true })
const oldToken = new EtcdError('invalid auth token', { code: 'INVALID_AUTH_TOKEN', effect: 'none' })

describe('A renewal', () => {
  test('is sent at once after the loss of the stream, although it is not due', async (t) => {
    const { bench, clock } = benchOf(t, ['a', 'b'])
    bench.lease('1', 90)
    await clock.advance(100)
    assert.deepEqual(bench.stream.sent, [])
    bench.stream.listener.onEnd(cut)
    await clock.advance(0)
    assert.deepEqual([bench.streams.length, bench.stream.sent], [2, ['1']])
  })

  test('is sent together with those that are due within 50 ms', async (t) => {
    const { bench, clock } = benchOf(t)
    const first = bench.lease('1', 90, { ageMs: 40 })
    for (const [id, ageMs] of [
      ['2', 0],
      ['3', -40],
    ] as const)
      bench.lease(id, 90, { ageMs })
    await untilDue(first, clock)
    assert.deepEqual(bench.stream.sent, ['1', '2'])
  })

  test('is reported with its duration and the time that was left', async (t) => {
    const { bench, clock } = benchOf(t)
    dueLease(bench, '1')
    await clock.advance(200)
    bench.stream.answer('1', 90)
    assert.deepEqual(bench.renewals, [{ leaseId: '1', ttlSeconds: 90, durationMs: 200, slackMs: 9800 }])
  })

  test('does not count when its lease was closed before the response', async (t) => {
    const { bench, clock } = benchOf(t)
    const [closed, other] = [dueLease(bench, '1'), dueLease(bench, '2')]
    await clock.advance(0)
    bench.scheduler.remove(closed)
    const { expiresAt } = closed
    for (const id of ['1', '2']) bench.stream.answer(id, 90)
    assert.deepEqual([closed.expiresAt, other.expiresAt], [expiresAt, clock.now + 90_000])
    assert.deepEqual(
      bench.renewals.map(({ leaseId }) => leaseId),
      ['2'],
    )
  })

  test('counts without a raft term, as through a proxy, and in the term in which it was sent', async (t) => {
    const { bench, clock } = benchOf(t)
    const [first, second] = [dueLease(bench, '1'), dueLease(bench, '2')]
    await clock.advance(0)
    bench.raftTerm = 3
    bench.stream.answer('1', 90, 0)
    bench.stream.answer('2', 90, 2)
    assert.deepEqual([first.expiresAt, second.expiresAt], [clock.now + 90_000, clock.now + 90_000])
    assert.deepEqual([bench.streams.length, bench.stream.isCancelled], [1, false])
  })

  test('for one caller may have an effect when the client closes, or the deadline passes', async (t) => {
    const { bench, clock } = benchOf(t)
    const renewOnce = (timeoutMs: number) =>
      new Promise((resolve, reject) => {
        const waiter = { resolve, reject }
        bench.scheduler.add(new KeepAliveOnce({ id: '1', deadlineAt: clock.now + timeoutMs, waiter }))
      })
    const late = assert.rejects(renewOnce(100), { code: 'DEADLINE_EXCEEDED', effect: 'unknown' })
    const closed = assert.rejects(renewOnce(1000), { code: 'CLOSED', effect: 'unknown' })
    await clock.advance(100)
    bench.scheduler.close()
    await Promise.all([late, closed])
  })
})

describe('The end of a lease', () => {
  test('is a stall, not a revocation, if a member reports it after a blocked process has missed the expiry', async (t) => {
    const { bench, clock } = benchOf(t)
    const lease = dueLease(bench, '1')
    await clock.advance(0)
    clock.block(11_000)
    bench.stream.answer('1', 0)
    assert.equal(reasonOf(lease), 'stalled')
  })

  test('is its expiry if it is not kept alive, whatever happened to the renewals of others', async (t) => {
    const { bench, clock } = benchOf(t)
    const [first, second] = [3, 4].map((ttlSeconds) => bench.lease(`${ttlSeconds}`, ttlSeconds, { isKeptAlive: false }))
    dueLease(bench, 'kept')
    await clock.advance(0)
    bench.stream.listener.onEnd(oldToken)
    await clock.advance(3000)
    clock.block(3000)
    await clock.advance(0)
    for (const lease of [first, second]) {
      assert.ok(lease !== undefined)
      assert.deepEqual([reasonOf(lease), lease.signal.reason.cause], ['expired', undefined])
    }
  })

  test('does not have the error of an earlier stream as its cause', async (t) => {
    const { bench, clock } = benchOf(t)
    const [blocked, removed] = [dueLease(bench, '1'), dueLease(bench, '2')]
    await clock.advance(0)
    bench.stream.listener.onEnd(oldToken)
    await clock.advance(1000)
    for (const id of ['1', '2']) bench.stream.answer(id, 90)
    bench.scheduler.remove(removed)
    clock.block(100_000)
    await clock.advance(0)
    assert.deepEqual([reasonOf(blocked), blocked.signal.reason.cause], ['stalled', undefined])

    const refused = dueLease(bench, '3')
    await clock.advance(0)
    bench.stream.listener.onEnd(oldToken)
    bench.scheduler.remove(refused)
    bench.isReachable = false
    const unreachable = bench.lease('4', 1)
    await clock.advance(1000)
    assert.deepEqual([reasonOf(unreachable), unreachable.signal.reason.cause], ['expired', undefined])
  })

  test('leaves nothing behind, and only leases that are kept alive hold the process open', async (t) => {
    const { bench, clock } = benchOf(t)
    bench.lease('quiet', 5, { isKeptAlive: false })
    assert.equal(clock.holdsProcess, false)
    const kept = bench.lease('kept', 60)
    assert.equal(clock.holdsProcess, true)
    bench.scheduler.remove(kept)
    assert.deepEqual([clock.holdsProcess, clock.timers], [false, 1])
    await clock.advance(5000)
    assert.equal(clock.timers, 0)
  })
})

describe('A member that renews leases', () => {
  test('is not silent because this process was blocked', async (t) => {
    const { bench, clock } = benchOf(t, ['a', 'b'])
    dueLease(bench, '1')
    await clock.advance(0)
    clock.block(5000)
    await clock.advance(900)
    assert.deepEqual([bench.streams.length, bench.suspected], [1, []])
    await clock.advance(200)
    assert.deepEqual([bench.streams.length, bench.suspected], [2, ['a']])
  })

  test('is not silent while it answers one renewal after the other, however long the row is', async (t) => {
    const { bench, clock } = benchOf(t, ['a', 'b'])
    const ids = Array.from({ length: 14 }, (_, index) => String(index))
    for (const id of ids) dueLease(bench, id)
    for (const id of ids) {
      await clock.advance(600)
      bench.stream.answer(id, 90)
    }
    assert.equal(bench.streams.length, 1)
  })

  test('has the more time the longer it usually takes, and the less the shorter the TTL is', async (t) => {
    const { bench, clock } = benchOf(t, ['a', 'b'])
    bench.lease('quiet', 1, { isKeptAlive: false })
    const lease = dueLease(bench, '1')
    await clock.advance(700)
    bench.stream.answer('1', 90)
    await untilDue(lease, clock)
    assert.equal(bench.stream.sent.length, 2)
    await clock.advance(2700)
    assert.equal(bench.streams.length, 1)
    await clock.advance(200)
    assert.equal(bench.streams.length, 2)
    const short = bench.lease('2', 3, { ageMs: 600 })
    await clock.advance(600)
    assert.deepEqual([bench.streams.length, short.ended], [3, undefined])
  })

  test('has more time after a long silence of all, until one has answered', async (t) => {
    const { bench, clock } = benchOf(t, ['a', 'b', 'c'])
    const lease = bench.lease('1', 90, { ageMs: 30_000 })
    await clock.advance(20_000)
    const count = bench.streams.length
    assert.ok(count > 8 && count < 14, `${count} streams`)
    while (bench.streams.length === count) await clock.advance(50)
    bench.stream.answer('1', 90)
    await untilDue(lease, clock)
    await clock.advance(1100)
    assert.equal(bench.streams.length, count + 2)
    await clock.advance(20_000)
    bench.scheduler.remove(lease)
    const before = bench.streams.length
    dueLease(bench, '2')
    await clock.advance(1100)
    assert.equal(bench.streams.length, before + 2)
  })

  test('is not chosen for an answer that came too late to keep the lease up to date', async (t) => {
    const { bench, clock } = benchOf(t, ['a', 'b', 'c'])
    const lease = bench.lease('1', 3, { ageMs: 500 })
    await clock.advance(700)
    assert.equal(bench.streams.length, 3)
    bench.streams[0]?.answer('1', 3)
    assert.deepEqual(
      bench.streams.map(({ isCancelled }) => isCancelled),
      [false, false, false],
    )
    assert.equal(lease.expiresAt, clock.now - 700 + 3000)
  })

  test('gets the renewals that the others have not answered as soon as it is chosen', async (t) => {
    const { bench, clock } = benchOf(t, ['a', 'b'])
    dueLease(bench, '1')
    const second = bench.lease('2', 90)
    second.renewAt = clock.now + 1500
    await clock.advance(1600)
    assert.deepEqual(
      bench.streams.map(({ sent }) => sent),
      [['1'], ['1', '2']],
    )
    bench.streams[0]?.answer('1', 90)
    assert.deepEqual(bench.streams[0]?.sent, ['1', '2'])
  })

  test('that drains is left for another one, without an event, and kept if there is none', async (t) => {
    const { bench, clock } = benchOf(t)
    dueLease(bench, '1')
    await clock.advance(0)
    bench.stream.listener.onDraining()
    await clock.advance(0)
    assert.deepEqual([bench.streams.length, bench.stream.isCancelled], [1, false])
    bench.members = ['a', 'b']
    bench.stream.listener.onDraining()
    await clock.advance(0)
    assert.deepEqual(
      [bench.streams[0]?.isCancelled, bench.stream.excludedEndpoints, bench.stream.sent],
      [true, ['a'], ['1']],
    )
    assert.deepEqual(bench.emitted, [])
  })

  test('that admits no more streams gets the next one in place of the oldest silent one', async (t) => {
    const { bench, clock } = benchOf(t)
    dueLease(bench, '1')
    await clock.advance(1000)
    assert.equal(bench.streams.length, 2)
    bench.stream.listener.onEnd(new EtcdError('too many', { code: 'STREAM_LIMIT', effect: 'none', retryable: true }))
    await clock.advance(0)
    assert.deepEqual([bench.streams[0]?.isCancelled, bench.streams.length, bench.stream.sent], [true, 3, ['1']])
  })

  test('gets no stream after it has refused the last lease', async (t) => {
    const { bench, clock } = benchOf(t)
    const lease = dueLease(bench, '1')
    await clock.advance(0)
    bench.stream.listener.onEnd(denied())
    await clock.advance(5000)
    assert.deepEqual([reasonOf(lease), bench.streams.length, clock.timers], ['refused', 1, 0])
  })

  test('is tried several times before the shortest lease expires, also when it ends each stream at once', async (t) => {
    t.mock.method(Math, 'random', () => 1)
    const { bench, clock } = benchOf(t)
    bench.lease('1', 3, { ageMs: 500 })
    for (let count = 0; count < 240; count += 1) {
      await clock.advance(10)
      if (!bench.stream.isCancelled) bench.stream.listener.onEnd(cut)
      bench.stream.isCancelled = true
    }
    assert.ok(bench.streams.length >= 8, `${bench.streams.length} streams`)
  })
})
