import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type Bytes, deleteKey, deleteRange, type Etcd, get, key, keys, put, range, txn } from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { collect, createClient } from '../support/fixtures.js'

const outerPrefix = Buffer.from('ns')
/** Its last key is followed by no key that starts with another byte. */
const innerPrefix = Buffer.from([0xff, 0xff])

describe('Calls in a nested namespace', () => {
  const cluster = useCluster()

  /** Keys around the namespace `ns\xff\xff`: before it, behind it, and those that look like it. */
  const outside: readonly Bytes[] = [
    Buffer.from([0]),
    'a',
    'n',
    'ns',
    'ns\0',
    'nsa',
    Buffer.from([...outerPrefix, 0xff]),
    Buffer.from([...outerPrefix, 0xff, 0xfe, 0xff]),
    'nt',
    'z',
    Buffer.from([0xff, 0xff, 0xff]),
  ]

  /** The namespace, and a check that all keys around it are as they were. */
  async function enter(t: TestContext) {
    const etcd = createClient(t, cluster)
    await etcd.deleteRange({ prefix: '' })
    for (const name of outside) await etcd.put(name, 'outside')
    const before = await around(etcd)
    assert.equal(before.length, outside.length)
    const kv = etcd.namespace(outerPrefix).namespace(innerPrefix)
    return { etcd, kv, untouched: async () => assert.deepEqual(await around(etcd), before) }
  }

  async function around(etcd: Etcd) {
    const { kvs } = await etcd.range({ prefix: '' })
    const inside = Buffer.concat([outerPrefix, innerPrefix])
    return kvs
      .filter((kv) => !kv.key.subarray(0, inside.length).equals(inside))
      .map((kv) => [kv.key.toString('hex'), kv.valueText, kv.modRevision])
  }

  const names = (kvs: readonly { readonly key: Buffer }[]) => kvs.map((kv) => kv.key.toString('latin1'))

  test('read and list its keys by their short names', async (t) => {
    const { etcd, kv, untouched } = await enter(t)
    for (const name of ['a', 'b', 'c']) await kv.put(name, name)
    assert.equal((await etcd.get(Buffer.concat([outerPrefix, innerPrefix, Buffer.from('a')])))?.valueText, 'a')
    assert.equal((await kv.get('a'))?.keyText, 'a')
    assert.equal(await kv.exists('ns'), false)
    for (const all of [{ prefix: '' }, { from: '' }, { from: '\0' }] as const) {
      assert.deepEqual(names((await kv.range(all)).kvs), ['a', 'b', 'c'])
      assert.deepEqual(names(await collect(kv.list(all, { maxPageSize: 1 }))), ['a', 'b', 'c'])
      assert.equal(await kv.count(all), 3)
    }
    assert.deepEqual(names((await kv.range({ from: 'b' })).kvs), ['b', 'c'])
    assert.deepEqual(names((await kv.range({ from: 'a', to: Buffer.from([0xff, 0xff]) })).kvs), ['a', 'b', 'c'])
    const { cursor } = await kv.range({ prefix: '' }, { limit: 1 })
    assert.deepEqual(names((await kv.range({ prefix: '' }, { cursor })).kvs), ['b', 'c'])
    await untouched()
  })

  test('delete only its keys', async (t) => {
    const { kv, untouched } = await enter(t)
    for (const name of ['a', 'b', 'c', 'd']) await kv.put(name, name)
    assert.deepEqual(names((await kv.delete('a', { prevKv: true })).prevKvs), ['a'])
    assert.equal((await kv.delete('ns')).deleted, 0)
    assert.deepEqual(names((await kv.deleteRange({ from: 'c' }, { prevKv: true })).prevKvs), ['c', 'd'])
    assert.equal((await kv.deleteRange({ prefix: '' })).deleted, 1)
    assert.equal((await kv.deleteRange({ from: '' })).deleted, 0)
    await untouched()
  })

  test('stay in it in transactions of all kinds', async (t) => {
    const { kv, untouched } = await enter(t)
    const inner = txn()
      .if(keys({ prefix: '' }).exists())
      .then(deleteRange({ from: 'b' }, { prevKv: true }), get('a'))
    const result = await kv
      .txn()
      .if(key('ns').missing(), keys({ prefix: '' }).missing())
      .then(put('a', '1'), put('b', '2', { prevKv: true }))
      .commit()
    assert.equal(result.succeeded, true)
    const outer = await kv
      .txn()
      .if(key('a').value.equals('1'))
      .then(range({ prefix: '' }), put('a', '3', { prevKv: true }), inner.asOperation(), deleteKey('zz'))
      .commit()
    assert.ok(outer.succeeded)
    const [all, written, nested] = outer.responses
    assert.deepEqual([names(all.kvs), written.prevKv?.keyText], [['a', 'b'], 'a'])
    assert.ok(nested.succeeded)
    const [deleted, read] = nested.responses
    assert.deepEqual([names(deleted.prevKvs), read?.keyText, read?.valueText], [['b'], 'a', '3'])
    await untouched()
  })

  test('by update(), putIf(), deleteIf() and touch() change its keys', async (t) => {
    const { kv, untouched } = await enter(t)
    const count = (current: { readonly valueText: string } | undefined) => String(Number(current?.valueText ?? 0) + 1)
    await Promise.all(Array.from({ length: 5 }, () => kv.update('n', count)))
    assert.equal((await kv.get('n'))?.valueText, '5')
    const refused = await kv.putIf('n', 'x', 0)
    assert.ok(!refused.succeeded)
    assert.equal(refused.current?.keyText, 'n')
    await kv.touch('n')
    const { modRevision = 0 } = (await kv.get('n')) ?? {}
    assert.equal((await kv.putIf('z', 'mine', 0)).succeeded, true)
    assert.equal((await kv.deleteIf('n', modRevision)).succeeded, true)
    assert.deepEqual(names((await kv.range({ prefix: '' })).kvs), ['z'])
    await untouched()
  })
})
