import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Etcd, EtcdError, type Keyspace } from '../../src/index.js'
import { addUser, rootPassword } from '../support/auth.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { attemptRecords, createClient } from '../support/fixtures.js'

/** One write of a round. */
interface Write {
  readonly key: string
  readonly call: 'put' | 'delete' | 'touch'
  readonly prevKv: boolean
  readonly lease: 'none' | 'own' | 'unknown' | 'kept'
}

const leases = { none: undefined, own: '1a', unknown: 'dead', kept: undefined }

const write: fc.Arbitrary<Write> = fc.record({
  key: fc.oneof(
    { weight: 60, arbitrary: fc.integer({ min: 0, max: 9 }).map((number) => `app/${number}`) },
    fc.constant('denied'),
  ),
  call: fc.oneof({ weight: 3, arbitrary: fc.constant('put') }, fc.constantFrom('delete', 'touch')),
  prevKv: fc.boolean(),
  lease: fc.oneof({ weight: 60, arbitrary: fc.constantFrom('none', 'own') }, fc.constantFrom('unknown', 'kept')),
})

/** The outcome of a write, without the parts that depend on its revision. */
async function outcomeOf(kv: Keyspace, { key, call, prevKv, lease }: Write, value: string): Promise<unknown> {
  const options = lease === 'kept' ? { prevKv, ignoreLease: true as const } : { prevKv, lease: leases[lease] }
  try {
    if (call === 'delete') {
      const { deleted, prevKvs } = await kv.delete(key, { prevKv })
      return { deleted, previous: prevKvs.map(({ keyText, valueText }) => [keyText, valueText]) }
    }
    const { prevKv: previous } = call === 'put' ? await kv.put(key, value, options) : await kv.touch(key, options)
    return { previous: previous && [previous.keyText, previous.valueText, previous.lease] }
  } catch (error) {
    assert.ok(error instanceof EtcdError)
    const { code, effect, retryable, method, message } = error
    return { code, effect, retryable, method, message }
  }
}

async function stored(kv: Keyspace): Promise<unknown> {
  const { kvs } = await kv.range({ prefix: 'app/' })
  return kvs.map(({ keyText, valueText, version, lease }) => [keyText, valueText, version, lease])
}

describe('Grouped writes', () => {
  const cluster = useCluster({ auth: { rootPassword } })
  let root: Etcd

  function rootClient(t: Parameters<typeof createClient>[0]): Etcd {
    return createClient(t, cluster, { auth: { username: 'root', password: rootPassword } })
  }

  test('are equivalent to single ones made in order', async (t) => {
    root = rootClient(t)
    const prefixes = ['one/', 'two/'] as const
    await addUser(root, 'limited', 'limited-secret', { range: { prefix: 'one/app/' } })
    await root.auth.roles.grant('limited', 'readwrite', { prefix: 'two/app/' })
    const auth = { username: 'limited', password: 'limited-secret' }
    const limited = createClient(t, cluster, { auth })
    const attempts = attemptRecords(t)
    await limited.lease.grant(600, { id: leases.own })
    const single = limited.namespace(prefixes[1])
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 40 }), async (writes) => {
        // Those that had groups refused make shorter ones.
        await using unspoilt = new Etcd({ endpoints: cluster.endpoints, auth })
        const grouped = unspoilt.namespace(prefixes[0]).batcher()
        for (const prefix of prefixes) await root.deleteRange({ prefix })
        const expected: unknown[] = []
        for (const [index, one] of writes.entries()) expected.push(await outcomeOf(single, one, String(index)))
        const outcomes = await Promise.all(writes.map((one, index) => outcomeOf(grouped, one, String(index))))
        assert.deepEqual(outcomes, expected)
        assert.deepEqual(await stored(grouped), await stored(single))
      }),
      { numRuns: 30 },
    )
    const groups = attempts.filter(({ method }) => method === 'KV.Txn').length
    assert.ok(groups > 10, `${groups} groups`)
  })

  test('share their revision, and the client can group all its writes', async (t) => {
    const auth = { username: 'root', password: rootPassword }
    const etcd = createClient(t, cluster, { auth, batching: { writes: true } })
    const puts = await Promise.all(Array.from({ length: 300 }, (_, index) => etcd.put(`all/${index}`, 'value')))
    assert.equal(new Set(puts.map(({ revision }) => revision)).size, 3)
    assert.equal(await etcd.count({ prefix: 'all/' }), 300)
    const plain = rootClient(t)
    const revisions = await Promise.all([plain.put('all/a', ''), plain.put('all/b', '')])
    assert.equal(new Set(revisions.map(({ revision }) => revision)).size, 2)
  })

  test('with a TTL use the lease that such keys share', async (t) => {
    const batcher = rootClient(t).batcher()
    const keys = Array.from({ length: 20 }, (_, index) => `ttl/${index}`)
    await Promise.all(keys.map((key) => batcher.put(key, 'value', { ttlSeconds: 60 })))
    const { kvs } = await batcher.range({ prefix: 'ttl/' })
    assert.equal(kvs.length, 20)
    assert.equal(new Set(kvs.map(({ lease }) => lease)).size, 1)
    assert.notEqual(kvs[0]?.lease, undefined)
  })
})

test('to a full database fail the puts of a tick and apply its deletions', async (t) => {
  const cluster = await startCluster(t, { flags: { 'quota-backend-bytes': 2 * 1024 * 1024 } })
  const etcd = createClient(t, cluster)
  const batcher = etcd.batcher()
  await batcher.put('small', 'value')
  const value = Buffer.alloc(512 * 1024)
  for (let number = 0; number < 40; number += 1) {
    const isFull = await etcd.put(`large/${number % 4}`, value).then(
      () => false,
      () => true,
    )
    if (isFull) break
  }
  const [put, otherPut, deleted] = await Promise.allSettled([
    batcher.put('a', ''),
    batcher.put('b', ''),
    batcher.delete('small'),
    batcher.delete('missing'),
  ])
  for (const { status, reason } of [put, otherPut] as PromiseRejectedResult[]) {
    assert.deepEqual([status, reason.code, reason.method], ['rejected', 'NO_SPACE', 'KV.Put'])
  }
  assert.ok(deleted?.status === 'fulfilled' && deleted.value.deleted === 1)
})
