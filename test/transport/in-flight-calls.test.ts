import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EtcdError } from '../../src/core/errors.js'
import { InFlightCalls } from '../../src/transport/connection/in-flight-calls.js'
import type { UnaryAttempt } from '../../src/transport/connection/unary-attempt.js'

interface Attempt {
  readonly repeatable?: boolean
  readonly proposal?: boolean
  readonly token?: string
  readonly bytes?: number
  readonly sentAt?: number
}

/** The calls in flight, and the error that each of them fails with, by its name. */
function inFlight(attempts: Readonly<Record<string, Attempt>>) {
  const calls = new InFlightCalls('http://m0')
  const failed: Record<string, EtcdError> = {}
  for (const [name, { repeatable = false, proposal = false, token, bytes = 10, sentAt = 0 }] of Object.entries(
    attempts,
  )) {
    const progress = { token, message: Buffer.alloc(bytes) }
    const fake = {
      method: { name },
      sentAt,
      context: { repeatable, proposal, progress },
      cancel: (error: EtcdError) => (failed[name] = error),
    }
    // The calls use these fields only.
    calls.addAttempt(fake as unknown as UnaryAttempt)
  }
  const outcome = () =>
    Object.fromEntries(Object.entries(failed).map(([name, { code, effect }]) => [name, [code, effect]]))
  return { calls, outcome }
}

describe('Calls in flight', () => {
  test('fail after an election if they are proposals to the former leader, with an unknown effect', () => {
    const { calls, outcome } = inFlight({
      'before it': { proposal: true, sentAt: 99 },
      'after it': { proposal: true, sentAt: 100 },
      'a read': { repeatable: true, sentAt: 99 },
    })
    calls.failProposals(100)
    assert.deepEqual(outcome(), { 'before it': ['LEADER_LOST', 'unknown'] })
  })

  test('fail on a silent member if they are repeatable: a write may still be answered', () => {
    const { calls, outcome } = inFlight({ 'a read': { repeatable: true }, 'a write': { proposal: true } })
    calls.failRepeatable()
    assert.deepEqual(outcome(), { 'a read': ['CONNECTION_LOST', 'unknown'] })
  })

  test('fail with a stalled token if they are repeatable and have that token', () => {
    const { calls, outcome } = inFlight({
      'a read': { repeatable: true, token: 'old' },
      'a read with another one': { repeatable: true, token: 'new' },
      'a write': { proposal: true, token: 'old' },
    })
    calls.failWithToken('old')
    assert.deepEqual(outcome(), { 'a read': ['INVALID_AUTH_TOKEN', 'unknown'] })
  })

  test('with large requests have the time that a link of 1 Mbit/s needs for them', () => {
    const large = 125_000
    const { calls } = inFlight({ small: {}, a: { bytes: large, sentAt: 500 }, b: { bytes: large, sentAt: 700 } })
    assert.equal(calls.largeRequestsUntil, 2500)
    assert.equal(inFlight({ small: {} }).calls.largeRequestsUntil, Number.NEGATIVE_INFINITY)
  })
})
