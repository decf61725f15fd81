import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { composeClient, type PartEvents } from '../../src/client/compose-client.js'
import { type ClientOptions, resolveOptions } from '../../src/client/options.js'
import { Emitter } from '../../src/core/emitter.js'
import { encodeRange } from '../../src/core/key-range.js'

/** The parts of a client that cannot reach a member, and the emitter of its events. */
function partsOf(t: TestContext, options: ClientOptions = {}) {
  const events = new Emitter<PartEvents>()
  const parts = composeClient(resolveOptions({ endpoints: 'http://127.0.0.1:1', ...options }), events)
  t.after(async () => {
    parts.watches.close()
    await parts.leases.close()
    parts.manager.close()
  })
  return { events, ...parts }
}

describe('The parts of a client', () => {
  test('forget cached answers when the cluster is another one, or an older one', (t) => {
    const { events, readCache } = partsOf(t, { cache: { maxAgeMs: 60_000 } })
    const range = encodeRange('a')
    const response = { header: undefined, kvs: [], more: false, count: 0 }
    for (const event of ['clusterChanged', 'clusterFollowed', 'revisionRewound'] as const) {
      readCache.end(readCache.begin(range, range), { response, endpoint: 'a', bytes: 1 })
      assert.ok(readCache.answer(range, range))
      events.emit(event, { actual: 'c2', previous: 'c1' } as never)
      assert.equal(readCache.answer(range, range), undefined, event)
    }
  })

  test('wait for a release as long as for a call, and report one that takes longer', (t) => {
    const { events, release } = partsOf(t, { timeoutMs: 77 })
    const delayed: unknown[] = []
    events.on('releaseDelayed', (payload) => delayed.push(payload))
    const payload = { kind: 'lock', keyText: 'a', error: new Error('late') } as const
    release.releaseDelayed(payload)
    assert.deepEqual([release.releaseMs, delayed], [77, [payload]])
  })

  test('have statistics that are JSON', (t) => {
    const { stats } = partsOf(t, { diagnostics: { name: 'mine' }, namespace: 'tenant/' })
    const { client, writes, endpoints, ...others } = stats()
    assert.deepEqual([client.name, client.namespace], ['mine', 'tenant/'])
    assert.deepEqual(
      JSON.parse(JSON.stringify(writes)),
      Object.fromEntries(Object.entries(writes).filter(([, value]) => value !== undefined)),
    )
    assert.equal(writes.limit, undefined)
    assert.deepEqual([endpoints.length, others.leases], [1, 0])
  })
})
