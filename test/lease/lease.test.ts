import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { Leases } from '../../src/lease/leases.js'
import type { RegistrationKv } from '../../src/lease/registered-key.js'
import { FakeClock } from '../support/fake-clock.js'
import { leaseNotFound } from '../support/fake-lease.js'
import { type FakeCall, fakeTransport, header } from '../support/fake-transport.js'
import { Bench } from '../support/keep-alive-bench.js'

/** Leases of a cluster that answers calls by `answers`, on a clock that the test moves. */
function leasesOf(t: TestContext, answers: Partial<Record<string, (call: FakeCall) => unknown>> = {}) {
  const clock = new FakeClock(t)
  const bench = new Bench(t)
  const transport = fakeTransport((call) =>
    (answers[call.method] ?? (() => ({ header: header({ revision: 7 }), TTL: 10 })))(call),
  )
  const revoked: unknown[] = []
  const lost: string[] = []
  const leases = new Leases({
    transport,
    keepAlives: bench.scheduler,
    events: { emit: () => {} },
    onLost: ({ leaseId }) => lost.push(leaseId),
    onRevoked: (revision) => revoked.push(revision),
    timeoutMs: 1000,
    obstacle: () => undefined,
  })
  const sent = () => transport.calls.map(({ method }) => method)
  return { bench, calls: transport.calls, clock, leases, lost, revoked, sent }
}

const revocation = 'Lease.LeaseRevoke'
const late = new EtcdError('late', { code: 'DEADLINE_EXCEEDED', effect: 'unknown' })

describe('A granted lease', () => {
  test('counts its TTL from the request, and from a renewal if the response took more than half of it', async (t) => {
    for (const [tookMs, expiresMs, renewals] of [
      [4000, 10_000, 0],
      [6000, 16_000, 1],
    ] as const) {
      const { bench, clock, leases } = leasesOf(t, {
        'Lease.LeaseGrant': () => {
          clock.block(tookMs)
          return { TTL: 10 }
        },
      })
      const before = clock.now
      const granting = leases.grant(10, { id: 'abc', keepAlive: false, timeoutMs: 20_000 })
      await clock.advance(0)
      for (const { sent, answer } of bench.streams) for (const id of sent) answer(id, 10)
      const { expiresAt } = await granting
      assert.deepEqual([expiresAt - before, bench.streams.length], [expiresMs, renewals])
      t.mock.restoreAll()
    }
  })

  test('is replaced by another one if it had expired when its grant and the renewal of it were answered', async (t) => {
    const delays = [6000]
    const { bench, clock, leases, sent } = leasesOf(t, {
      'Lease.LeaseGrant': () => {
        clock.block(delays.shift() ?? 0)
        return { TTL: 10 }
      },
    })
    const granting = leases.grant(10, { keepAlive: false, timeoutMs: 60_000 })
    await clock.advance(0)
    const [id = ''] = bench.stream.sent
    clock.block(11_000)
    bench.stream.answer(id, 10)
    const lease = await granting
    assert.notEqual(lease.id, id)
    assert.deepEqual([sent().length, lease.remainingMs], [2, 10_000])
  })

  test('has a positive ID of 63 bits, as the server chooses them', async (t) => {
    const { leases } = leasesOf(t)
    for (let count = 0; count < 64; count += 1) {
      const { id } = await leases.grant(10, { keepAlive: false })
      const number = BigInt(`0x${id}`)
      assert.ok(number > 0n && number < 2n ** 63n, id)
    }
  })

  test('has no time left, and is not revoked at the end of its block, after it was closed', async (t) => {
    const { leases, sent } = leasesOf(t)
    {
      await using lease = await leases.grant(10)
      assert.equal(lease.remainingMs, 10_000)
      lease.close()
      assert.deepEqual([lease.state, lease.remainingMs], ['closed', 0])
    }
    assert.deepEqual(sent(), ['Lease.LeaseGrant'])
    {
      await using lease = await leases.grant(10)
      assert.ok(lease.isAlive())
    }
    assert.deepEqual(sent(), ['Lease.LeaseGrant', 'Lease.LeaseGrant', revocation])
  })

  test('can be revoked again after a failure, and need not exist any more', async (t) => {
    const failures = [late, leaseNotFound()]
    const { leases, revoked, sent } = leasesOf(t, {
      [revocation]: () => {
        const failure = failures.shift()
        if (failure !== undefined) throw failure
        return { header: header({ revision: 9 }) }
      },
    })
    const lease = await leases.grant(10)
    await assert.rejects(lease.revoke(), late)
    assert.equal(lease.state, 'revoked')
    await lease.revoke()
    await lease.revoke()
    assert.equal(sent().filter((method) => method === revocation).length, 2)
    await leases.revoke('abc')
    // A revocation that has failed may have been applied: what depends on its keys is read again.
    assert.deepEqual(revoked, [undefined, undefined, 9])
  })

  test('is lost as soon as a revocation by its ID finds that it does not exist', async (t) => {
    const { leases } = leasesOf(t, {
      [revocation]: () => {
        throw leaseNotFound()
      },
    })
    const lease = await leases.grant(10)
    await assert.rejects(leases.revoke(lease.id), { code: 'LEASE_NOT_FOUND' })
    assert.deepEqual([lease.isAlive(), lease.state], [false, 'revoked'])
  })

  test('is found by any notation of its ID', async (t) => {
    const { calls, leases } = leasesOf(t)
    const lease = await leases.grant(10, { id: '00ABC' })
    assert.equal(lease.id, 'abc')
    await leases.revoke('0abC')
    assert.deepEqual([calls.at(-1)?.request, lease.state], [{ ID: 'abc' }, 'revoked'])
  })

  test('is not renewed after it was closed or revoked, and is lost before a timer could report it', async (t) => {
    const { bench, clock, leases } = leasesOf(t)
    const [first, second, third] = [await leases.grant(10), await leases.grant(10), await leases.grant(10)]
    assert.equal(bench.scheduler.keptAlive, 3)
    first.close()
    await second.revoke()
    assert.equal(bench.scheduler.keptAlive, 1)
    clock.block(10_000)
    assert.ok(third.signal.aborted)
  })

  test('is granted no more once the client closes, nor is a registration', async (t) => {
    const { calls, leases } = leasesOf(t)
    const kv = { put: async () => ({ revision: 7 }), watch: async function* () {} } as unknown as RegistrationKv
    await leases.register(kv, ['a', ''], {})
    assert.deepEqual(calls[0]?.request, { TTL: 15, ID: Object(calls[0]?.request).ID })
    await leases.close()
    const { length } = calls
    for (const late of [() => leases.grant(10), () => leases.take(10, {}), () => leases.register(kv, ['b', ''], {})]) {
      await assert.rejects(late, { code: 'CLOSED', effect: 'none' })
    }
    assert.equal(calls.length, length)
  })

  test('is renewed for one caller as long as that waits', async (t) => {
    const { bench, clock, leases } = leasesOf(t)
    const reason = new Error('enough')
    await assert.rejects(leases.keepAliveOnce('abc', { signal: AbortSignal.abort(reason) }), reason)
    assert.equal(bench.streams.length, 0)
    const controller = new AbortController()
    const renewing = leases.keepAliveOnce('abc', { signal: controller.signal })
    assert.equal(bench.scheduler.keptAlive, 1)
    controller.abort(reason)
    await assert.rejects(renewing, reason)
    assert.deepEqual([bench.scheduler.keptAlive, clock.timers], [0, 0])
  })

  test('and a renewal of it that a caller waits for end with its revocation', async (t) => {
    const { clock, leases } = leasesOf(t)
    const lease = await leases.grant(10, { id: 'abc' })
    const renewing = assert.rejects(leases.keepAliveOnce('abc'), { code: 'LEASE_NOT_FOUND', effect: 'none' })
    await leases.revoke('abc')
    await renewing
    assert.equal(lease.state, 'revoked')
    await clock.advance(0)
  })

  test('has the state of its end, whatever comes after it', async (t) => {
    const { clock, leases, lost } = leasesOf(t)
    const [closed, expired] = [await leases.grant(10), await leases.grant(10)]
    closed.close()
    clock.block(20_000)
    assert.deepEqual([closed.state, expired.state], ['closed', 'expired'])
    expired.close()
    await expired.revoke()
    assert.equal(expired.state, 'expired')
    assert.deepEqual(lost, [expired.id])
  })

  test('is read from a member that has a leader, also by one that is behind', async (t) => {
    const { calls, leases } = leasesOf(t, { 'Lease.LeaseLeases': () => ({ leases: [{ ID: 'abc' }, {}] }) })
    assert.deepEqual(await leases.list(), ['abc'])
    await leases.timeToLive('abc')
    for (const { context } of calls) {
      assert.deepEqual(
        [context.repeatable, context.requiresFloor, context.skipsRevisionCheck, context.proposal],
        [true, true, true, false],
      )
    }
  })

  test('stays alive if revoke() is called with wrong options', async (t) => {
    const { leases, sent } = leasesOf(t)
    const lease = await leases.grant(10)
    await assert.rejects(lease.revoke({ timeoutMs: -1 }), { code: 'INVALID_ARGUMENT' })
    assert.deepEqual([lease.isAlive(), sent()], [true, ['Lease.LeaseGrant']])
  })

  test('is active without a connection only if it is kept alive', async (t) => {
    const { bench, clock, leases } = leasesOf(t)
    const [kept, quiet] = [await leases.grant(10), await leases.grant(10, { keepAlive: false })]
    await clock.advance(0)
    bench.stream.listener.onEnd(late)
    assert.deepEqual([kept.state, quiet.state], ['activeNoConnection', 'active'])
  })
})

describe('The state of a lease in the cluster', () => {
  test('has no keys unless they were requested, and exists in its last second', async (t) => {
    let remaining = 0
    const { leases } = leasesOf(t, {
      'Lease.LeaseTimeToLive': () => ({ TTL: remaining, grantedTTL: 10, keys: [] }),
    })
    const status = { id: 'abc', ttlSeconds: 10, remainingSeconds: 0 }
    assert.deepEqual(await leases.timeToLive('abc'), { ...status, keys: undefined })
    assert.deepEqual(await leases.timeToLive('abc', { keys: true }), { ...status, keys: [] })
    remaining = -1
    assert.equal(await leases.timeToLive('abc'), undefined)
  })
})
