import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { checkHealth, type HealthParts } from '../../src/maintenance/check-health.js'
import { fakeTransport, header } from '../support/fake-transport.js'

type Answer = (mode: string) => void

const error = (code: 'NO_LEADER' | 'NOT_SUPPORTED_FOR_LEARNER' | 'PERMISSION_DENIED'): EtcdError =>
  new EtcdError(code, { code, effect: 'none' })
const fails = (code: Parameters<typeof error>[0]) => (): never => {
  throw error(code)
}
const learner: Answer = (mode) => {
  if (mode === 'linearizable') throw error('NOT_SUPPORTED_FOR_LEARNER')
}

/** Members by name, and how they answer reads. */
function parts(members: Record<string, Answer>, alarms: Answer | readonly object[] = []) {
  const timeouts: unknown[] = []
  const transport = fakeTransport(({ context }) => {
    timeouts.push(context.timeoutMs)
    if (typeof alarms === 'function') alarms('')
    return { alarms }
  })
  const kv = {
    range: async (
      _: unknown,
      context: { route: { endpoint: string }; readPolicy: { mode: string }; timeoutMs: number },
    ) => {
      timeouts.push(context.timeoutMs)
      members[context.route.endpoint]?.(context.readPolicy.mode)
      return { header: header({ memberId: context.route.endpoint }) }
    },
  }
  const endpoints = () => Object.keys(members).map((endpoint) => ({ endpoint, state: 'ready' }))
  const directory = { urls: async () => Object.keys(members) }
  return { parts: { transport, kv, directory, endpoints } as unknown as HealthParts, timeouts }
}

const ok: Answer = () => {}

describe('The health of a cluster', () => {
  const statusOf = async (...given: Parameters<typeof parts>) => {
    const { status, problems } = await checkHealth(parts(...given).parts)
    return [status, problems.length]
  }

  test('is that of its members and its alarms', async () => {
    const alarm = { memberID: 'a', alarm: 'NOSPACE' }
    assert.deepEqual(await statusOf({ a: ok, b: learner }), ['healthy', 0])
    assert.deepEqual(await statusOf({ a: ok, b: fails('NO_LEADER') }), ['degraded', 1])
    assert.deepEqual(await statusOf({ a: ok }, [alarm]), ['degraded', 1])
    assert.deepEqual(await statusOf({ a: ok }, fails('NO_LEADER')), ['degraded', 1])
    assert.deepEqual(await statusOf({ a: ok }, fails('PERMISSION_DENIED')), ['healthy', 0])
    assert.deepEqual(await statusOf({ a: fails('PERMISSION_DENIED') }), ['healthy', 0])
    assert.deepEqual(await statusOf({ a: fails('NO_LEADER'), b: learner }), ['unhealthy', 1])
  })

  test('has a learner that serves as a healthy member, and 3 s for each call', async () => {
    const { parts: given, timeouts } = parts({ a: ok, b: learner })
    const { members } = await checkHealth(given)
    assert.deepEqual(
      members.map(({ isHealthy, isLearner, memberId }) => [isHealthy, isLearner, memberId]),
      [
        [true, false, 'a'],
        [true, true, 'b'],
      ],
    )
    assert.deepEqual([...new Set(timeouts)], [3000])
    const short = parts({ a: ok })
    await checkHealth(short.parts, { timeoutMs: 7 })
    assert.deepEqual([...new Set(short.timeouts)], [7])
  })

  test('is not waited for where a member is known to refuse connections', async () => {
    const { parts: given } = parts({ a: ok, b: () => assert.fail('it was asked') })
    const endpoints = () => [{ endpoint: 'b', state: 'connecting', reason: 'connect ECONNREFUSED' }]
    const { status, problems } = await checkHealth({ ...given, endpoints } as unknown as HealthParts)
    assert.deepEqual([status, problems], ['degraded', ['b does not serve: NOT_CONNECTED, connect ECONNREFUSED']])
  })
})
