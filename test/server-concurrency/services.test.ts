import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { ElectionService } from '../../src/server-concurrency/election-service.js'
import { LockService } from '../../src/server-concurrency/lock-service.js'
import type { StreamSource } from '../../src/streams/stream-source.js'
import { fakeTransport, header } from '../support/fake-transport.js'

/** Both services in the namespace `app/`, and their calls. */
function servicesOf(answer: unknown) {
  const transport = fakeTransport(() => {
    if (answer instanceof Error) throw answer
    return answer
  })
  const prefix = Buffer.from('app/')
  return {
    calls: transport.calls,
    elections: new ElectionService(transport, {} as StreamSource, prefix),
    locks: new LockService(transport, prefix),
  }
}

const leader = { name: Buffer.from('e'), key: Buffer.from('e/7'), createRevision: 4, lease: '7' }

describe("The members' lock and election services", () => {
  test('are not called again after a lost answer, except to read the leader', async () => {
    const kv = { key: Buffer.from('app/e/7') }
    const { calls, elections, locks } = servicesOf({
      kv,
      key: kv.key,
      leader: { key: kv.key, rev: 4 },
      header: header(),
    })
    await elections.campaign('e', '7', 'me')
    await elections.proclaim(leader, 'me')
    await elections.leader('e')
    await elections.resign(leader)
    await locks.lock('l', '7')
    await locks.unlock('l/7')
    assert.deepEqual(
      calls.filter(({ context }) => context.repeatable).map(({ method }) => method),
      ['Election.Leader'],
    )
  })

  test('take and give names and keys without the namespace', async () => {
    const key = Buffer.from('app/e/7')
    const { calls, elections, locks } = servicesOf({ kv: { key }, key, leader: { key, rev: 4 }, header: header() })
    assert.deepEqual(await elections.campaign('e', '7', 'me'), leader)
    assert.equal(String((await elections.leader('e'))?.key), 'e/7')
    assert.equal(String((await locks.lock('e', '7')).key), 'e/7')
    await elections.proclaim(leader, 'me')
    const [, , , proclaimed] = calls
    assert.deepEqual(proclaimed?.request, {
      leader: { name: Buffer.from('app/e'), key, rev: 4, lease: '7' },
      value: Buffer.from('me'),
    })
  })

  test('pass on the limits of the call, its leases and the revision of its answer', async () => {
    const answer = { key: Buffer.from('app/l/7'), leader: { key: Buffer.from('app/e/9'), rev: 4, lease: '9' } }
    const { calls, elections, locks } = servicesOf({ ...answer, header: header({ revision: 12 }) })
    const options = { signal: new AbortController().signal, timeoutMs: 5 }
    assert.equal((await elections.campaign('e', '7', 'me', options)).lease, '9')
    assert.equal((await locks.lock('l', '7', options)).revision, 12)
    await locks.unlock('l/7', options)
    for (const { context } of calls) assert.deepEqual([context.signal, context.timeoutMs], [options.signal, 5])
    assert.deepEqual(calls[2]?.request, { key: Buffer.from('app/l/7') })
    await assert.rejects(elections.resign({ ...leader, lease: 'none' }), /`leader.lease` must be/)
  })

  test('find no leader, and reject an answer without one', async () => {
    const none = new EtcdError('no leader', { code: 'ELECTION_NO_LEADER', effect: 'none' })
    assert.equal(await servicesOf(none).elections.leader('e'), undefined)
    const other = new EtcdError('lost', { code: 'CONNECTION_LOST', effect: 'none' })
    await assert.rejects(servicesOf(other).elections.leader('e'), other)
    await assert.rejects(servicesOf({}).elections.campaign('e', '7', 'me'), {
      code: 'PROTOCOL_ERROR',
      effect: 'unknown',
    })
    await assert.rejects(servicesOf({}).locks.lock('', '7'), { code: 'EMPTY_KEY' })
  })
})
