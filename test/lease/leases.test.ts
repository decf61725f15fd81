import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ErrorCode, EtcdError, type EtcdErrorInit } from '../../src/core/errors.js'
import { callObserver } from '../../src/interceptors/observe.js'
import { CallQueues, retryInterceptor } from '../../src/interceptors/retry.js'
import type { KeepAliveScheduler } from '../../src/lease/keep-alive-scheduler.js'
import { Leases } from '../../src/lease/leases.js'
import { ClientTelemetry } from '../../src/telemetry/client-telemetry.js'
import { intercept } from '../../src/transport/transport.js'
import { fakeTransport } from '../support/fake-transport.js'

const lost = { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true } as const
const refused = { code: 'NO_LEADER', effect: 'none', retryable: true } as const
const denied = { code: 'PERMISSION_DENIED', effect: 'none' } as const

/** Leases over a transport whose attempts fail as listed, and then succeed; `asked` collects the requests. */
function leases(failures: readonly EtcdErrorInit[], asked: unknown[] = []): Leases {
  const base = fakeTransport((call, index) => {
    asked.push(call.request)
    const init = failures[index]
    if (init !== undefined) throw new EtcdError('failed', { endpoint: 'e0', ...init })
    return { TTL: 10 }
  })
  const telemetry = new ClientTelemetry({ name: 'test', namespace: undefined, keys: true, slowCallMs: 1000 })
  const retry = retryInterceptor({ queues: new CallQueues(), hasUntriedEndpoint: () => true })
  // Only what these calls use of it.
  const keepAlives = { revoked: () => {}, add: () => {} } as unknown as KeepAliveScheduler
  const transport = intercept(
    base,
    callObserver(telemetry, () => undefined),
    retry,
  )
  return new Leases({
    transport,
    keepAlives,
    events: { emit: () => {} },
    onLost: () => {},
    onRevoked: () => {},
    timeoutMs: 1000,
    obstacle: () => undefined,
  })
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    ({ code, effect }: EtcdError) => `${code} ${effect}`,
  )
}

describe('A retried lease call', () => {
  const gone = { code: 'LEASE_NOT_FOUND', effect: 'none' } as const
  const taken = { code: 'LEASE_EXISTS', effect: 'none' } as const
  const cases: readonly [string, readonly EtcdErrorInit[], string][] = [
    ['a refusal and then no lease', [refused, gone], 'LEASE_NOT_FOUND none'],
    ['a lost answer and then no lease', [lost, gone], 'ok'],
    ['a lost answer, a refusal and then no lease', [lost, refused, gone], 'ok'],
    ['a lost answer and then a refusal', [lost, denied], 'PERMISSION_DENIED unknown'],
  ]
  for (const [what, failures, outcome] of cases) {
    test(`to revoke it, with ${what}, is ${outcome}`, async () => {
      assert.equal(await outcomeOf(leases(failures).revoke('1234')), outcome)
    })
  }

  test('to grant a random ID takes another one if the first is in use by a foreign lease', async () => {
    const asked: { readonly ID?: string }[] = []
    const lease = await leases([refused, taken], asked).grant(10, { keepAlive: false })
    const ids = asked.map(({ ID }) => ID)
    assert.equal(ids.length, 3)
    assert.ok(ids[0] === ids[1] && ids[1] !== ids[2] && ids[2] === lease.id)
  })

  test('to grant a chosen ID adopts an existing lease only after a lost response', async () => {
    const outcomes: [readonly EtcdErrorInit[], ErrorCode, string][] = [
      [[refused, taken], 'LEASE_EXISTS', 'none'],
      [[lost, taken], 'LEASE_EXISTS', 'unknown'],
    ]
    for (const [failures, code, effect] of outcomes) {
      assert.equal(await outcomeOf(leases(failures).grant(10, { id: '1234', keepAlive: false })), `${code} ${effect}`)
    }
  })
})
