import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isEtcdError, LeaseLostError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { attemptRecords, createClient, uniquePrefix, untyped } from '../support/fixtures.js'
import { within } from '../support/slack.js'

describe('Shared leases', () => {
  const cluster = useCluster()

  function granted(): Promise<number> {
    return cluster.metric('grpc_server_handled_total', { grpc_method: 'LeaseGrant', grpc_code: 'OK' })
  }

  test('expire keys with a TTL not before it is over, and not much later', async (t) => {
    const etcd = createClient(t, cluster)
    const tenant = etcd.namespace(uniquePrefix())
    const putAt = performance.now()
    await tenant.put('short', 'value', { ttlSeconds: 2 })
    const kv = await tenant.get('short')
    assert.equal((await etcd.lease.timeToLive(kv?.lease ?? ''))?.ttlSeconds, 3)
    await poll('the key is gone', async () => (await tenant.get('short')) === undefined || undefined)
    const livedMs = performance.now() - putAt
    assert.ok(livedMs >= 2000 && livedMs < within(4500), `${livedMs} ms`)
  })

  test('carry a thousand keys with the same TTL each, and are granted once for all waiting puts', async (t) => {
    const etcd = createClient(t, cluster)
    const prefix = uniquePrefix()
    const before = await granted()
    await Promise.all(
      Array.from({ length: 2500 }, (_, index) => etcd.put(`${prefix}${index}`, '', { ttlSeconds: 300 })),
    )
    assert.equal((await granted()) - before, 3)
    const { kvs } = await etcd.range({ prefix })
    const keys = new Map<string | undefined, number>()
    for (const { lease } of kvs) keys.set(lease, (keys.get(lease) ?? 0) + 1)
    assert.deepEqual([...keys.values()].sort(), [1000, 1000, 500])
  })

  test("are replaced when their remaining time is shorter than a key's TTL", async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.put('first', '', { ttlSeconds: 20 })
    const first = (await etcd.get('first'))?.lease
    await etcd.put('second', '', { ttlSeconds: 20 })
    assert.equal((await etcd.get('second'))?.lease, first)
    // Far fewer puts than keys that one lease takes.
    const often = { everyMs: 100, timeoutMs: 5000 }
    const getsAnother = async () => {
      await etcd.put('later', '', { ttlSeconds: 20 })
      return (await etcd.get('later'))?.lease !== first || undefined
    }
    await poll('a key gets another lease', getsAnother, often)
    const left = await etcd.lease.timeToLive((await etcd.get('later'))?.lease ?? '')
    assert.ok((left?.remainingSeconds ?? 0) >= 20)
  })

  test('revoked by others are replaced, and the put is sent again', async (t) => {
    const etcd = createClient(t, cluster)
    const key = uniquePrefix()
    await etcd.put(key, 'old', { ttlSeconds: 60 })
    await etcd.lease.revoke((await etcd.get(key))?.lease ?? '')
    const records = attemptRecords(t)
    const result = await etcd.put(key, 'new', { ttlSeconds: 60 })
    assert.equal((await etcd.get(key))?.modRevision, result.revision)
    assert.deepEqual(
      records.filter(({ method }) => method === 'KV.Put').map(({ outcome }) => outcome.ok),
      [false, true],
    )
  })

  test('neither delay a put without time nor fail the others when one is aborted', async (t) => {
    const etcd = createClient(t, cluster)
    const reason = new Error('enough')
    const abort = new AbortController()
    const leaving = etcd.put('a', '', { ttlSeconds: 70, signal: abort.signal })
    const staying = etcd.put('b', '', { ttlSeconds: 70 })
    abort.abort(reason)
    await assert.rejects(leaving, reason)
    await staying
    await assert.rejects(etcd.put('c', '', { ttlSeconds: 80, timeoutMs: 0 }), { code: 'DEADLINE_EXCEEDED' })
    assert.equal(await etcd.exists('c'), false)
  })

  test('exclude an explicit lease and require whole seconds', async (t) => {
    const etcd = createClient(t, cluster)
    const wrong = { name: 'InvalidArgumentError' }
    for (const options of [{ ttlSeconds: 9, lease: '1' }, { ttlSeconds: 9, ignoreLease: true }, { ttlSeconds: 0.5 }]) {
      await assert.rejects(async () => untyped(etcd).put?.call(etcd, 'k', 'v', options), wrong)
    }
    await assert.rejects(async () => untyped(etcd).touch?.call(etcd, 'k', { ttlSeconds: 9 }), wrong)
  })

  test('are kept alive until the last session ends, and then revoked', async (t) => {
    const etcd = createClient(t, cluster)
    const before = await granted()
    const [first, second] = await Promise.all([etcd.lease.shared(3), etcd.lease.shared(3)])
    assert.equal(first.id, second.id)
    first.release()
    first.release()
    assert.deepEqual([first.state, first.isAlive(), second.isAlive()], ['closed', false, true])
    const third = await etcd.lease.shared(3)
    assert.equal(third.id, second.id)
    assert.equal((await granted()) - before, 1)
    for (const session of [second, third]) session.release()
    await poll('the lease is gone', async () => (await etcd.lease.timeToLive(first.id)) === undefined || undefined)
    assert.equal(second.signal.reason.reason, 'revoked')
    await using fourth = await etcd.lease.shared(3)
    assert.notEqual(fourth.id, first.id)
  })

  test('are revoked with the client, which frees its locks immediately', async (t) => {
    const witness = createClient(t, cluster)
    const etcd = createClient(t, cluster)
    const [idle, used] = [await etcd.lease.shared(60), await etcd.lease.shared(50)]
    idle.release()
    await etcd.close()
    assert.equal(await witness.lease.timeToLive(idle.id), undefined)
    assert.equal(await witness.lease.timeToLive(used.id), undefined)
    assert.ok(used.signal.reason instanceof LeaseLostError && !used.isAlive())
  })

  test('being granted while the client closes are revoked, too', async (t) => {
    const witness = createClient(t, cluster)
    const before = new Set(await witness.lease.list())
    for (let count = 0; count < 5; count += 1) {
      const etcd = createClient(t, cluster)
      await etcd.lease.shared(60)
      const late = etcd.lease.shared(50).catch((error: unknown) => error)
      await etcd.close()
      assert.ok(isEtcdError(await late, 'CLOSED'))
    }
    assert.deepEqual(
      (await witness.lease.list()).filter((id) => !before.has(id)),
      [],
    )
  })
})
