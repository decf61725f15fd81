import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { ConnectionLiveness, type LivenessHost } from '../../src/transport/connection/connection-liveness.js'

/** A connection for unary calls or for streams, with the bytes that the test says it has received. */
function channel() {
  const state = { bytesRead: 1, bytesUnsent: 0, replaced: 0 }
  return Object.assign(state, { replaceConnection: () => (state.replaced += 1) })
}

/** The liveness of a member with two connections that were alive just now. */
function liveness(t: TestContext) {
  let nowMs = 10_000
  t.mock.method(performance, 'now', () => nowMs)
  const [unary, streams] = [channel(), channel()]
  const calls = { count: 0, largeRequestsUntil: Number.NEGATIVE_INFINITY }
  const seen: string[] = []
  // Liveness uses these fields only.
  const host = {
    channels: { unary, separateStreamChannel: streams },
    calls,
    latency: { extraTicks: 0 },
    patience: { factor: 1 },
    probe: (over: string) => seen.push(`probe ${over}`),
    verified: () => seen.push('verified'),
    silent: (over: string) => seen.push(`silent ${over}`),
  } as unknown as LivenessHost
  const member = new ConnectionLiveness(host)
  member.connected()
  member.streamAnswered()
  const ticks = (count: number): string[] => {
    for (let tick = 0; tick < count; tick += 1) {
      nowMs += 100
      member.tick()
    }
    return seen.splice(0)
  }
  return { member, unary, streams, calls, seen, ticks, pass: (ms: number) => (nowMs += ms), now: () => nowMs }
}

describe('A check of connections', () => {
  test('probes only those that have received nothing recently, each once', (t) => {
    const { member, seen, pass } = liveness(t)
    member.check()
    assert.deepEqual(seen, [])
    pass(501)
    member.check()
    member.check()
    assert.deepEqual(seen, ['probe unary', 'probe streams'])
    assert.equal(member.needsTicks, true)
  })

  test('does not probe a connection for streams that has never received anything', (t) => {
    const { member, streams, seen, pass } = liveness(t)
    streams.bytesRead = 0
    pass(501)
    member.check()
    assert.deepEqual(seen, ['probe unary'])
  })

  test('ends with the first byte: the connection is verified', (t) => {
    const { member, unary, streams, seen, pass, ticks, now } = liveness(t)
    pass(3001)
    assert.equal(member.isSuspect(now()), true)
    assert.equal(member.isStreamChannelSuspect(now()), true)
    member.check()
    seen.length = 0
    unary.bytesRead += 1
    streams.bytesRead += 1
    assert.deepEqual(ticks(1), ['verified'])
    assert.deepEqual(
      [member.isSuspect(now()), member.isStreamChannelSuspect(now()), member.needsTicks],
      [false, false, false],
    )
    assert.deepEqual(ticks(20), [])
  })

  test('opens another connection beside a silent one, before the verdict', (t) => {
    const { member, unary, streams, pass, seen, ticks } = liveness(t)
    pass(501)
    member.check()
    seen.length = 0
    assert.deepEqual(ticks(3), ['probe unary'])
    assert.deepEqual([unary.replaced, streams.replaced], [1, 1])
    assert.deepEqual(ticks(4), ['silent unary', 'silent streams'])
    assert.equal(member.needsTicks, false)
  })

  test('ends when there is a new connection, or when the member is no longer ready', (t) => {
    for (const end of ['connected', 'reset'] as const) {
      const { member, pass, ticks } = liveness(t)
      pass(501)
      member.check()
      ticks(2)
      member[end]()
      assert.deepEqual(ticks(10).includes('silent unary'), false)
      t.mock.restoreAll()
    }
  })
})

describe('The silence of a member', () => {
  test('counts from the first call in flight', (t) => {
    const { member, calls, ticks } = liveness(t)
    calls.count = 1
    member.callsStarted()
    ticks(2)
    member.callsStarted()
    assert.deepEqual(ticks(2), [])
    assert.deepEqual(ticks(1), ['probe unary'])
  })

  test('is no verdict while large requests may be on their way', (t) => {
    const { member, calls, ticks, now } = liveness(t)
    calls.count = 1
    member.callsStarted()
    calls.largeRequestsUntil = now() + 2000
    assert.equal(ticks(20).includes('silent unary'), false)
    assert.equal(ticks(1).includes('silent unary'), true)
  })
})
