import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { bytes, type CallRecord, channels, json, type KeyRange, type Keyspace, put } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { recordsOf } from '../support/channels.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { proxyAt } from '../support/cluster-view.js'
import { attemptRecords, createClient, uniquePrefix } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const cached = { mode: 'cached' } as const

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** The record of a read without its endpoint and times. */
async function read(kv: Keyspace, range: KeyRange, options: object): Promise<unknown> {
  const { kvs, count, more } = await kv.range(range, options)
  return { kvs: kvs.map((kv) => ({ ...kv })), count, more }
}

describe('Cached reads', () => {
  const cluster = useCluster()

  test('are answered by an informer on the keys, exactly as by the cluster', async (t) => {
    const etcd = createClient(t, cluster)
    const kv = etcd.namespace(uniquePrefix())
    for (const name of ['a', 'b', 'b/1', 'b/2', 'c', 'é']) await kv.put(`k/${name}`, `value of ${name}`)
    await kv.put('k/b', 'again')
    await kv.put('l', 'outside')
    await using informer = kv.informer({ prefix: 'k/' })
    await informer.ready()
    const attempts = attemptRecords(t)
    const key = fc.constantFrom('k/', 'k/a', 'k/b', 'k/b/1', 'k/c', 'k/x', 'k/é')
    const range = fc.oneof(
      key.map((key) => ({ key })),
      key.map((prefix) => ({ prefix })),
      fc
        .tuple(key, key)
        .map(([from, to]) =>
          Buffer.compare(Buffer.from(from), Buffer.from(to)) < 0 ? { from, to } : { from, to: 'k0' },
        ),
    )
    const options = fc.record({ limit: fc.integer({ min: 1, max: 3 }), keysOnly: fc.boolean() }, { requiredKeys: [] })
    await fc.assert(
      fc.asyncProperty(range, options, async (range, options) => {
        const before = attempts.length
        const remembered = await read(kv, range, { ...options, ...cached })
        const count = await kv.count(range, cached)
        assert.equal(attempts.length, before)
        assert.deepEqual(remembered, await read(kv, range, options))
        assert.equal(count, await kv.count(range))
      }),
    )
    const records = recordsOf<CallRecord>(t, channels.call)
    const { mode, endpoint, revision } = await kv.range({ prefix: 'k/' }, cached)
    assert.deepEqual([mode, endpoint, revision], ['cached', cluster.endpoints[0], informer.revision])
    assert.deepEqual([records[0]?.mode, records[0]?.endpoint, records[0]?.attempts], ['cached', endpoint, 0])
    assert.equal((await etcd.get(Buffer.concat([Buffer.from('no such key')]), cached))?.valueText, undefined)
  })

  test('go to the cluster for everything that no informer can answer', async (t) => {
    const etcd = createClient(t, cluster)
    const kv = etcd.namespace(uniquePrefix())
    const { revision } = await kv.put('k/a', '{ "a": 1 }')
    await using text = kv.informer({ prefix: 'k/' })
    await using parsed = kv.informer({ prefix: '' }, { codec: json() })
    await using filtered = kv.informer({ prefix: '' }, { filter: () => false })
    await Promise.all([text, parsed, filtered].map((informer) => informer.ready()))
    const modes = async (...reads: readonly (readonly [KeyRange, object])[]): Promise<string[]> =>
      Promise.all(reads.map(async ([range, options]) => (await kv.range(range, { ...options, ...cached })).mode))
    const own = 'k/a'
    assert.deepEqual(
      await modes([own, {}], [own, { revision }], [own, { minModRevision: 1 }], [{ prefix: 'k' }, {}], ['l', {}]),
      ['cached', 'serializable', 'serializable', 'serializable', 'serializable'],
    )
    assert.equal((await kv.range(own, { mode: 'serializable' })).mode, 'serializable')
    for await (const page of kv.list({ prefix: 'k/' }, cached).pages()) assert.equal(page.kvs.length, 1)
    await text.close()
    assert.deepEqual(await modes([own, {}]), ['serializable'])
  })

  test("include this client's own writes, however far behind the informer is", async (t) => {
    const etcd = createClient(t, cluster)
    const other = createClient(t, cluster)
    const kv = etcd.namespace(uniquePrefix())
    await using informer = kv.informer({ prefix: '' }, { codec: bytes })
    await informer.ready()
    let fromMemory = 0
    for (let number = 0; number < 100; number += 1) {
      const value = String(number)
      if (number % 3 === 0) await kv.put('k', value)
      else if (number % 3 === 1) await kv.txn().then(put('k', value)).commit()
      else await kv.batcher().put('k', value)
      const { kvs, mode } = await kv.range('k', cached)
      assert.equal(kvs[0]?.valueText, value)
      if (mode === 'cached') fromMemory += 1
    }
    t.diagnostic(`${fromMemory} of 100 from memory`)
    await other.put('elsewhere', '')
    await etcd.get('elsewhere')
    const { kvs, stale } = await kv.range('k', cached)
    assert.deepEqual([kvs[0]?.valueText, stale], ['99', true])
    if (cluster.version.startsWith('3.4.')) return t.diagnostic('its members do not say reliably how far they are')
    await poll('the informer has asked how far it is', async () => !(await kv.range('k', cached)).stale || undefined)
  })

  test('are cached up to their maximum age, and each caller gets its own copy', async (t) => {
    const etcd = createClient(t, cluster, { cache: { maxAgeMs: 300 } })
    const other = createClient(t, cluster)
    const prefix = uniquePrefix()
    await other.put(`${prefix}a`, 'old')
    const attempts = attemptRecords(t)
    const ask = () => etcd.range({ prefix }, cached)
    const first = await ask()
    assert.deepEqual([first.mode, first.stale], ['serializable', false])
    await other.put(`${prefix}a`, 'new')
    const sent = attempts.length
    const second = await ask()
    assert.deepEqual([second.mode, second.kvs[0]?.valueText, second.revision], ['cached', 'old', first.revision])
    assert.notEqual(second.kvs[0], first.kvs[0])
    assert.equal(attempts.length, sent)
    const { kvs } = await poll('the answer is too old', async () => {
      const answer = await ask()
      return answer.mode === 'cached' ? undefined : answer
    })
    assert.equal(kvs[0]?.valueText, 'new')
    assert.equal((await ask()).mode, 'cached')
    await etcd.deleteRange({ prefix: prefix.slice(0, -1) })
    assert.deepEqual((await ask()).kvs, [])
    await other.put(`${prefix}b`, '')
    assert.deepEqual((await ask()).kvs, [])
    assert.equal((await etcd.range({ prefix })).kvs.length, 1)
  })

  test('do not include keys of a lease that this client revoked', async (t) => {
    const etcd = createClient(t, cluster, { cache: { maxAgeMs: 60_000 } })
    const kv = etcd.namespace(uniquePrefix())
    await using informer = kv.informer({ prefix: 'followed/' })
    await informer.ready()
    for (let number = 0; number < 20; number += 1) {
      const lease = await etcd.lease.grant(60)
      for (const key of ['followed/a', 'kept']) await kv.put(key, 'value', { lease: lease.id })
      assert.equal((await kv.get('kept', cached))?.valueText, 'value')
      await informer.waitForRevision((await kv.get('followed/a'))?.modRevision ?? 0)
      await lease.revoke()
      assert.deepEqual([await kv.get('followed/a', cached), await kv.get('kept', cached)], [undefined, undefined])
    }
  })

  test("are marked stale soon after the informer's watch is cut, and not while the range is idle", async (t) => {
    const proxied = await startCluster(t, { proxy: true })
    const etcd = createClient(t, proxied)
    await etcd.put('followed/a', 'old')
    await using informer = etcd.informer({ prefix: 'followed/' })
    await informer.ready()
    const read = async () => {
      const { kvs, mode, stale } = await etcd.range('followed/a', { ...cached, timeoutMs: 2000 })
      return [kvs[0]?.valueText, mode, stale]
    }
    // Longer than the member may be silent: it is asked when it is to be known.
    await delay(3200)
    assert.deepEqual(await read(), ['old', 'cached', false])
    const proxy = proxyAt(proxied, 0)
    proxy.blackhole()
    const cutAt = performance.now()
    await proxied.call('/v3/kv/put', { key: base64('followed/a'), value: base64('new') })
    await poll('it is marked', async () => (await read())[2] || undefined)
    assert.ok(performance.now() - cutAt < within(5000), `after ${performance.now() - cutAt} ms`)
    assert.deepEqual(await read(), ['old', 'cached', true])
    proxy.heal()
    await poll('it follows again', async () => (await read()).join() === 'new,cached,false' || undefined)
  })

  test('are answered by an informer again soon after a write outside its range', async (t) => {
    const etcd = createClient(t, cluster)
    const kv = etcd.namespace(uniquePrefix())
    await kv.put('followed/a', 'value')
    await using informer = kv.informer({ prefix: 'followed/' })
    await informer.ready()
    const isFromMemory = async (): Promise<true | undefined> =>
      (await kv.range('followed/a', cached)).mode === 'cached' || undefined
    for (const write of [() => kv.delete('followed/b'), async () => (await etcd.lease.grant(60)).revoke()]) {
      await kv.put('elsewhere', 'value')
      await write()
      await poll('the informer has heard how far it is', isFromMemory)
    }
  })
})
